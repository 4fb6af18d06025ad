"""Quotas: RFC 9425. What is used is kept by `store.usage`, who may use how much by `store.limits`."""
