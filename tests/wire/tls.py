"""A TLS-terminating front for a plain server, as a proxy would be: for clients that speak https alone."""

import contextlib
import socket
import ssl
import threading


class TlsFront:
    """Listens with a certificate and passes octets on, both ways, until it is closed."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.target_port = 0
        self._open: list[socket.socket] = [self._listener]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            client = self._context.wrap_socket(plain, server_side=True)
            with client, socket.create_connection(("127.0.0.1", self.target_port)) as server:
                self._open += [client, server]
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join()

    def close(self) -> None:
        """Close every socket."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(5)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass octets on until the source ends, then say so to the target."""
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            target.sendall(octets)
        target.shutdown(socket.SHUT_WR)
