"""The certificate for STARTTLS: two files, read again when they change (RFC 3207).

Owns the loading. A certificate is renewed every few weeks by somebody else's program, which may write the two files one
after the other: what does not fit together is left alone until it does, and the old one serves on. Must not know SMTP.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int], ...]


class CertificateError(Exception):
    """The files can't be used. The sentence says which, and why."""


class Certificate:
    """The files, and the TLS context made of them. Safe to use from several threads."""

    def __init__(self, chain: str, key: str | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """`key` is None when the key is in the same file; `clock` gives seconds. Raises CertificateError."""
        self._paths = [Path(chain), Path(key or chain)]
        self._clock = clock
        self._ends = 0.0
        self._told = False
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._failed: Stamp | None = None
        self._context = self._load()
        self._stamp = self._stamp_now()
        self._tell_of_the_end()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection, made anew when the files have changed and are good."""
        with self._lock:
            stamp = self._stamp_now()
            if stamp not in {self._stamp, self._failed}:
                try:
                    self._context = self._load()
                except CertificateError as error:
                    self._failed = stamp
                    log.warning("%s The certificate read before serves on.", error)
                else:
                    self._stamp, self._failed = stamp, None
                    log.info("The certificate %s was read again.", self._paths[0])
            self._tell_of_the_end()
            return self._context

    def _tell_of_the_end(self) -> None:
        """Say once that the certificate has expired. It serves on: to many who send, any TLS is better than none."""
        if self._told or self._clock() <= self._ends:
            return
        self._told = True
        log.warning("The certificate %s has expired: mail programs refuse it, and other servers may.", self._paths[0])

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
        chain, key = self._paths
        try:
            # A key with a passphrase would ask for it on the terminal.
            context.load_cert_chain(chain, key, password=_no_passphrase)
        except ssl.SSLError as error:
            reason = (error.reason or "no PEM file").replace("_", " ").lower()
            raise CertificateError(f"The certificate {chain} with the key {key} can't be used: {reason}.") from error
        except OSError as error:
            missing = next((path for path in self._paths if not path.is_file()), chain)
            raise CertificateError(f"The file {missing} can't be read: {error.strerror or error}.") from error
        except ValueError as error:
            raise CertificateError(f"The key {key} can't be used: {error}.") from error
        self._ends, self._told = _end_of(chain), False
        return context

    def _stamp_now(self) -> Stamp:
        return tuple(_stamp(path) for path in self._paths)


def _end_of(chain: Path) -> float:
    """Return until when the first certificate of a file is good, in seconds since the epoch."""
    from cryptography import x509

    return x509.load_pem_x509_certificates(chain.read_bytes())[0].not_valid_after_utc.timestamp()


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return what changes with a file: also when it is replaced by another, as a symbolic link is."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return found.st_mtime_ns, found.st_ino, found.st_size


def _no_passphrase() -> str:
    raise ValueError("it has a passphrase")
