"""Servers on loopback for the tests of files on servers: nginx, and ones that do what they must not.

A server of our own is a function that gets a request and answers it. Every request is remembered.
"""

import contextlib
import http.server
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

CLOSE = object()  # the handler has answered all there is, and the connection ends


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.requests.append((self.command, self.path, dict(self.headers.items())))
        try:
            if self.server.answer(self) is CLOSE:
                self.close_connection = True
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    do_HEAD = do_GET

    # ---- for the functions that answer

    def range(self, size):
        """(first, last + 1) of what is asked for, or None."""
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not match:
            return None
        return int(match[1]), min(int(match[2]) + 1, size)

    def head(self, status, **headers):
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, content):
        if self.command != "HEAD":
            self.wfile.write(content)

    def file(self, content, etag='"1"', **headers):
        """An honest answer with ranges."""
        asked = self.range(len(content))
        if asked is None:
            self.head(200, Content_Length=len(content), ETag=etag, **headers)
            return self.body(content)
        first, end = asked
        self.head(206, Content_Length=end - first, ETag=etag,
                  Content_Range=f"bytes {first}-{end - 1}/{len(content)}", **headers)
        return self.body(content[first:end])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.requests = []
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def serving(answer, tls=None):
    server = Server(answer, tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Authority:
    """A certificate for 127.0.0.1, and the authority that signed it."""

    def __init__(self, folder):
        self.file = os.path.join(folder, "ca.pem")
        self.certificate = os.path.join(folder, "server.pem")
        self.key = os.path.join(folder, "server.key")
        ca_key = os.path.join(folder, "ca.key")
        request = os.path.join(folder, "server.csr")
        names = os.path.join(folder, "names")
        with open(names, "w", encoding="ascii") as file:
            file.write("subjectAltName=IP:127.0.0.1\n")
        new = ["req", "-newkey", "rsa:2048", "-nodes", "-batch"]
        self.openssl(*new, "-x509", "-days", "2", "-subj", "/CN=tare test", "-keyout", ca_key,
                     "-out", self.file)
        self.openssl(*new, "-subj", "/CN=127.0.0.1", "-keyout", self.key, "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", ca_key,
                     "-CAcreateserial", "-days", "2", "-extfile", names, "-out", self.certificate)

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def nginx_program():
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def nginx(folder, root, authority):
    """nginx with TLS on the files below `root`; its URL, and the path of its log."""
    port = free_port()
    log = os.path.join(folder, "access.log")
    temporary = "".join(f"{name}_temp_path {folder}/{name};"
                        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = os.path.join(folder, "nginx.conf")
    user = "user root;" if os.geteuid() == 0 else ""
    with open(config, "w", encoding="ascii") as file:
        file.write(
            f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;"
            "events { worker_connections 64; } http {"
            "log_format ranges '$request|$http_range|$status|$body_bytes_sent';"
            f"access_log {log} ranges; {temporary} default_type application/octet-stream;"
            f"server {{ listen 127.0.0.1:{port} ssl; root {root};"
            f"ssl_certificate {authority.certificate}; ssl_certificate_key {authority.key}; }} }}\n")
    process = subprocess.Popen([nginx_program(), "-c", config, "-p", folder],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"https://127.0.0.1:{port}", log
    finally:
        process.terminate()
        process.wait(30)
