"""Models on servers: nginx, servers without ranges, a hub, S3, and servers that are broken or hostile."""

import datetime
import functools
import hashlib
import hmac
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import zlib

import servers
from harness import (TARE, Storage, TareTest, Tensor, pickle_checkpoint, read_safetensors,
                     safetensors_bytes, small_state_dict, write_checkpoint)
from servers import CLOSE, serving

HAS_OPENSSL = servers.shutil.which("openssl") is not None
HAS_NGINX = servers.nginx_program() is not None and HAS_OPENSSL
MB = 1 << 20


@functools.cache
def authority():
    folder = tempfile.TemporaryDirectory()
    made = servers.Authority(folder.name)
    made.folder = folder  # lives as long
    return made


def checkpoint_bytes():
    value, storages = small_state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.pt")
        write_checkpoint(path, pickle_checkpoint(value), storages)
        with open(path, "rb") as file:
            return file.read()


def large_safetensors(tensors=4, each=3 * MB):
    """Some MB that are nowhere the same."""
    def content(number):
        seed = hashlib.sha256(str(number).encode()).digest()
        return b"".join(hashlib.sha256(seed + struct.pack("<I", i)).digest()
                        for i in range(each // 32))
    return safetensors_bytes({f"t{i}": ("U8", [each], content(i)) for i in range(tensors)})


@functools.cache
def large():
    return large_safetensors()


@functools.cache
def crc_of_zeros(length):
    crc = 0
    for _ in range(length // MB):
        crc = zlib.crc32(bytes(MB), crc)
    return zlib.crc32(bytes(length % MB), crc)


def write_sparse_checkpoint(path, tensors, each):
    """What torch.save writes for zeros, with holes in the place of the storages."""
    value = {f"layer.{i}": Tensor(Storage("FloatStorage", str(i), b"", each // 4), 0,
                                  (each // 4,), (1,)) for i in range(tensors)}
    directory = []
    with open(path, "wb") as file:
        def add(name, content, size):
            name = name.encode()
            offset = file.tell()
            crc = crc_of_zeros(size) if content is None else zlib.crc32(content)
            pad = -(offset + 34 + len(name)) % 64
            fields = struct.pack("<HHHHHIIIH", 0, 0, 0, 0, 0x21, crc, size, size, len(name))
            file.write(b"PK\3\4" + struct.pack("<H", 45) + fields[2:] + struct.pack("<H", pad + 4) +
                       name + struct.pack("<HH", 0x4246, pad) + b"Z" * pad)
            if content is None:
                file.seek(size, 1)
            else:
                file.write(content)
            directory.append((name, crc, size, offset))

        data_pkl = pickle_checkpoint(value)
        add("big/data.pkl", data_pkl, len(data_pkl))
        for i in range(tensors):
            add(f"big/data/{i}", None, each)
        add("big/version", b"3\n", 2)
        start = file.tell()
        for name, crc, size, offset in directory:
            file.write(b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 45, 45, 0, 0, 0, 0x21, crc, size,
                                               size, len(name), 12, 0, 0, 0, 0, 0xFFFFFFFF) +
                       name + struct.pack("<HHQ", 1, 8, offset))
        end = file.tell()
        count = len(directory)
        file.write(b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, end - start,
                                           start))
        file.write(b"PK\6\7" + struct.pack("<IQI", 0, end, 1))
        file.write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, end - start, 0xFFFFFFFF, 0))


class RemoteTest(TareTest):
    def tare(self, *arguments, variables=None, **options):
        kept = {name: value for name, value in os.environ.items()
                if not name.lower().endswith("_proxy") and not name.startswith(("AWS_", "HF_"))}
        kept.update(NO_PROXY="*", TARE_FETCH_IDLE="2", TARE_FETCH_RETRIES="2")
        if HAS_OPENSSL:
            kept["CURL_CA_BUNDLE"] = authority().file
        kept.update(variables or {})
        return super().tare(*arguments, env=kept, **options)

    def scan(self, url, expect=0, **options):
        done = self.tare("scan", "--format", "json", url, expect=expect, **options)
        return json.loads(done.stdout)["files"], done

    def scan_one(self, url, **options):
        files, _ = self.scan(url, **options)
        self.assertEqual(len(files), 1)
        return files[0]

    def assert_fails(self, url, *texts, **options):
        """Neither scan nor convert makes anything of it, and the scan is an error."""
        files, done = self.scan(url, expect=2, **options)
        self.assertNotIn("verdict", files[0])
        self.assert_one_line_error(done, *texts)
        done = self.tare("convert", url, "-o", "out.safetensors", expect=2, **options)
        self.assert_one_line_error(done, *texts)
        self.assertEqual([name for name in self.files() if name.startswith(("out", ".tare"))], [])


@unittest.skipUnless(HAS_NGINX, "SKIPPED: no nginx and openssl here")
class Nginx(RemoteTest):
    def setUp(self):
        super().setUp()
        self.root = self.path("www")
        os.mkdir(self.root)
        place = self.path("nginx")
        os.mkdir(place)
        context = servers.nginx(place, self.root, authority())
        self.url, self.log = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def put(self, name, content):
        with open(os.path.join(self.root, name), "wb") as file:
            file.write(content)
        return f"{self.url}/{name}"

    def sent(self):
        time.sleep(0.2)
        with open(self.log, encoding="ascii") as file:
            return sum(int(line.split("|")[3]) for line in file)

    def test_scans_what_a_server_has(self):
        file = self.scan_one(self.put("model.pt", checkpoint_bytes()))
        self.assertEqual(file["verdict"], "safe")
        self.assertEqual(file["formats"], ["torch-zip"])
        self.assertEqual(file["fetched"]["bytes"], file["size"])

    def test_finds_what_is_hostile(self):
        url = self.put("evil.pkl", b"cposix\nsystem\n(S'id'\ntR.")
        self.assertEqual(self.scan_one(url, expect=1)["verdict"], "dangerous")

    def test_a_certificate_that_nobody_knows_is_refused(self):
        url = self.put("model.pt", checkpoint_bytes())
        self.assert_fails(url, "the certificate of the server is not trusted",
                          variables={"CURL_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt"})

    def test_of_a_large_checkpoint_little_is_fetched(self):
        write_sparse_checkpoint(os.path.join(self.root, "big.pt"), 40, 100 * MB)
        url = f"{self.url}/big.pt"
        file = self.scan_one(url)
        self.assertEqual(file["verdict"], "safe")
        self.assertGreater(file["size"], 4000 * MB)
        self.assertEqual(file["tensor_bytes"], 4000 * MB)
        self.assertLess(file["fetched"]["bytes"], MB)
        self.assertEqual(file["fetched"]["bytes"], self.sent())
        text = self.tare("scan", url, expect=0).stdout
        self.assertIn("tensor data was not read", text)
        inspected = json.loads(self.tare("inspect", "--json", url, expect=0).stdout)
        self.assertEqual(len(inspected["tensors"]), 40)
        self.assertLess(inspected["fetched"]["bytes"], MB)

    def test_of_a_large_safetensors_file_the_header_is_fetched(self):
        each = 100 * MB
        header = json.dumps({f"layer.{i:03}.weight": {
            "dtype": "F32", "shape": [each // 4], "data_offsets": [i * each, (i + 1) * each]}
            for i in range(40)}).encode()
        header += b" " * (-len(header) % 8)
        url = self.put("big.safetensors", struct.pack("<Q", len(header)) + header)
        os.truncate(os.path.join(self.root, "big.safetensors"), 8 + len(header) + 40 * each)
        file = self.scan_one(url)
        self.assertEqual(file["verdict"], "safe")
        self.assertLess(file["fetched"]["bytes"], 256 << 10)
        self.assertEqual(file["fetched"]["bytes"], self.sent())

    def test_a_conversion_is_that_of_the_file_here(self):
        url = self.put("model.safetensors", large())
        self.write("local.safetensors", large())
        for target in ("out.safetensors", "out.pt", "out.npz"):
            self.tare("convert", "local.safetensors", "-o", target, expect=0)
            with open(self.path(target), "rb") as file:
                local = file.read()
            done = self.tare("convert", url, "--overwrite", "-o", target, expect=0)
            self.assertIn("verified against what came from the server", done.stdout)
            with open(self.path(target), "rb") as file:
                self.assertTrue(file.read() == local, target)

    def test_every_byte_of_a_conversion_is_fetched_once(self):
        url = self.put("model.safetensors", large())
        done = self.tare("convert", "--json", url, "-o", "out.safetensors", expect=0)
        fetched = json.loads(done.stdout)["fetched"]
        self.assertEqual(fetched["bytes"], len(large()))
        self.assertEqual(self.sent(), len(large()))

    def test_shards_are_found_beside_their_index(self):
        self.put("a.safetensors", safetensors_bytes({"a": ("U8", [3], b"abc")}))
        self.put("b.safetensors", safetensors_bytes({"b": ("U8", [2], b"de")}))
        url = self.put("model.safetensors.index.json", json.dumps(
            {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}).encode())
        self.tare("convert", url, expect=0)
        tensors, _ = read_safetensors(self.path("model.safetensors"))
        self.assertEqual(tensors["b"], ("U8", [2], b"de"))

    def test_hash_and_verify_take_urls(self):
        url = self.put("model.safetensors", large())
        self.write("local.safetensors", large())
        digest = hashlib.sha256(large()).hexdigest()
        self.assertEqual(self.tare("hash", "--whole", url, expect=0).stdout.split()[0], digest)
        self.tare("verify", url, "local.safetensors", expect=0)


class Honest(RemoteTest):
    def test_a_server_without_ranges_is_read_whole(self):
        content = checkpoint_bytes()

        def answer(request):
            request.head(200, Content_Length=len(content))
            request.body(content)
        with serving(answer) as server:
            file = self.scan_one(server.url + "/model.pt")
            self.assertEqual(file["verdict"], "safe")
            self.assertTrue(file["fetched"]["whole"])
            self.tare("convert", server.url + "/model.pt", expect=0)
        self.assertEqual(len(read_safetensors(self.path("model.safetensors"))[0]), 2)

    def test_an_end_that_only_the_connection_tells_is_refused(self):
        def answer(request):
            request.head(200, Connection="close")
            request.body(checkpoint_bytes())
            return CLOSE
        with serving(answer) as server:
            self.assert_fails(server.url + "/model.pt", "does not say how the file ends")

    def test_a_broken_connection_is_taken_up_where_it_broke(self):
        content = large()
        broken = set()

        def answer(request):
            first, end = request.range(len(content))
            if end - first < MB or first in broken:
                return request.file(content)
            broken.add(first)
            request.head(206, Content_Length=end - first, ETag='"1"',
                         Content_Range=f"bytes {first}-{end - 1}/{len(content)}")
            request.body(content[first:first + 300_000])
            return CLOSE
        self.write("local.safetensors", content)
        self.tare("convert", "local.safetensors", "-o", "local.out", "--to", "safetensors", expect=0)
        with serving(answer) as server:
            self.tare("convert", server.url + "/m.safetensors", expect=0)
            ranges = [headers["Range"] for _, _, headers in server.requests]
        self.assertTrue(broken)
        first = min(broken)
        self.assertTrue(any(text.startswith(f"bytes={first + 300_000}-") for text in ranges), ranges)
        with open(self.path("m.safetensors"), "rb") as a, open(self.path("local.out"), "rb") as b:
            self.assertTrue(a.read() == b.read())

    def test_it_comes_back_when_the_server_asks_for_it(self):
        for status in (429, 503):
            content = checkpoint_bytes()
            times = []

            def answer(request, status=status, content=content, times=times):
                times.append(time.monotonic())
                if len(times) == 1:
                    request.head(status, Retry_After=1, Content_Length=0)
                else:
                    request.file(content)
            with serving(answer) as server:
                self.assertEqual(self.scan_one(server.url + "/m.pt")["verdict"], "safe")
            self.assertGreaterEqual(times[1] - times[0], 0.9)

    def test_several_files_are_scanned_at_a_time(self):
        files = {f"/{i}.safetensors": safetensors_bytes({"t": ("U8", [MB], bytes([i]) * MB)})
                 for i in range(1, 7)}
        with serving(lambda request: request.file(files[request.path])) as server:
            done = self.tare("scan", "-j", "4", "--format", "json",
                             *(server.url + path for path in files), expect=0)
        self.assertEqual([file["verdict"] for file in json.loads(done.stdout)["files"]], ["safe"] * 6)

    def scan_counting(self, content, most=1000, expect=0):
        """The report of a scan, and how many requests were served at a time; no more than `most` are."""
        lock = threading.Lock()
        counts = {"now": 0, "most": 0}

        def answer(request):
            with lock:
                counts["now"] += 1
                counts["most"] = max(counts["most"], counts["now"])
                is_too_many = counts["now"] > most
            try:
                time.sleep(0.02)
                if is_too_many:
                    return request.head(503, Content_Length=0)
                return request.file(content)
            finally:
                with lock:
                    counts["now"] -= 1
        with serving(answer) as server:
            file = self.scan_one(server.url + "/m.pt", expect=expect)
        return file, counts["most"]

    def test_the_headers_of_an_archive_are_fetched_several_at_a_time(self):
        write_sparse_checkpoint(self.path("m.pt"), 60, 128 << 10)
        with open(self.path("m.pt"), "rb") as file:
            content = file.read()
        file, at_a_time = self.scan_counting(content)
        self.assertEqual(file["verdict"], "safe")
        self.assertLess(file["fetched"]["bytes"], MB)
        self.assertGreater(at_a_time, 4)
        # A header in the middle that names another file than the directory does.
        at = content.index(b"big/data/30")
        file, _ = self.scan_counting(content[:at] + b"big/data/99" + content[at + 11:],
                                     expect=1)
        self.assertEqual(file["verdict"], "suspicious")

    def test_a_server_that_serves_one_at_a_time_is_read_one_by_one(self):
        write_sparse_checkpoint(self.path("m.pt"), 20, 128 << 10)
        with open(self.path("m.pt"), "rb") as file:
            file, _ = self.scan_counting(file.read(), most=1)
        self.assertEqual(file["verdict"], "safe")

    def test_proxy_variables_are_honoured(self):
        content = checkpoint_bytes()
        with serving(lambda request: request.file(content)) as proxy:
            done = self.tare("scan", "http://localhost:9/model.pt", expect=0,
                             variables={"http_proxy": proxy.url, "NO_PROXY": ""})
            self.assertIn("safe", done.stdout)
            self.assertEqual(proxy.requests[0][1], "http://localhost:9/model.pt")

    def test_max_size_is_for_files_on_servers_too(self):
        with serving(lambda request: request.file(large())) as server:
            done = self.tare("scan", "--max-size", "1MB", server.url + "/m", expect=2)
            self.assertIn("larger than --max-size", done.stdout)


class Broken(RemoteTest):
    def fails(self, answer, *texts, tls=None, **options):
        with serving(answer, tls) as server:
            self.assert_fails(server.url + "/model.safetensors", *texts, **options)
            return server.requests

    def test_status_codes(self):
        for status, text in ((404, "no such file"), (401, "no access"), (403, "no access"),
                             (500, "the server fails"), (418, "none of a file")):
            self.fails(lambda request, status=status: request.head(status, Content_Length=0), text)

    def test_patience_has_an_end(self):
        start = time.monotonic()
        self.fails(lambda request: request.head(503, Retry_After=9999, Content_Length=0),
                   "come back later")
        self.assertLess(time.monotonic() - start, 20)

    def test_an_empty_file(self):
        self.fails(lambda request: request.head(200, Content_Length=0), "is empty")
        self.fails(lambda request: request.head(416, Content_Range="bytes */0", Content_Length=0),
                   "is empty")

    def ranged(self, content_range, content_length=None, content=None):
        def answer(request):
            first, end = request.range(len(large()))
            request.head(206, Content_Range=content_range(first, end), ETag='"1"',
                         Content_Length=end - first if content_length is None else content_length)
            request.body(large()[first:end] if content is None else content)
        return answer

    def test_another_range_than_was_asked_for(self):
        size = len(large())
        for wrong in (lambda first, end: f"bytes {first + 1}-{end}/{size}",
                      lambda first, end: f"bytes {first}-{end - 2}/{size}",
                      lambda first, end: f"bytes {first}-{end - 1}/*",
                      lambda first, end: f"bytes {first}-{end - 1}/{end - 2}",
                      lambda first, end: "bytes 0-99999999999999999999/99999999999999999999",
                      lambda first, end: f"items {first}-{end - 1}/{size}"):
            self.fails(self.ranged(wrong), "another range")

    def test_more_bytes_than_were_asked_for(self):
        def endless(request):
            first, end = request.range(len(large()))
            request.head(206, Content_Range=f"bytes {first}-{end - 1}/{len(large())}",
                         Transfer_Encoding="chunked")
            for _ in range(10_000):
                request.body(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        self.fails(endless, "more bytes than")

    def test_an_endless_file_without_ranges(self):
        def endless(request):
            request.head(200, Transfer_Encoding="chunked")
            for _ in range(10_000):
                request.body(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        with serving(endless) as server:
            done = self.tare("scan", "--max-size", "3MB", server.url + "/m", expect=2)
            self.assertIn("too large", done.stdout)

    def test_a_slow_drip(self):
        def drip(request):
            first, end = request.range(len(large()))
            request.head(206, Content_Length=end - first, ETag='"1"',
                         Content_Range=f"bytes {first}-{end - 1}/{len(large())}")
            for at in range(first, end):
                request.body(large()[at:at + 1])
                time.sleep(0.05)
        start = time.monotonic()
        with serving(drip) as server:
            done = self.tare("scan", server.url + "/m", expect=2,
                             variables={"TARE_FETCH_IDLE": "1", "TARE_FETCH_RETRIES": "1"})
        self.assertIn("too slow", done.stdout)
        self.assertLess(time.monotonic() - start, 30)

    def test_a_file_that_changes(self):
        def tags(request):
            request.file(large(), etag=f'"{len(request.server.requests)}"')

        def sizes(request):
            shorter = large()[:len(large()) - 100 * len(request.server.requests)]
            request.file(shorter)

        def stops_ranges(request):
            if "If-Range" not in request.headers:
                return request.file(large())
            request.head(200, Content_Length=len(large()), ETag='"1"')
            return request.body(large())
        for answer in (tags, sizes, stops_ranges):
            self.fails(answer, "the file changed on the server")

    def test_if_range_is_sent(self):
        with serving(lambda request: request.file(large())) as server:
            self.scan_one(server.url + "/m")
            self.assertEqual({headers.get("If-Range") for _, _, headers in server.requests[1:]},
                             {'"1"'})

    def test_redirects_without_end(self):
        def around(request):
            request.head(302, Location="/again", Content_Length=0)
        requests = self.fails(around, "redirects again and again")
        self.assertLess(len(requests), 30)

    def test_headers_without_end(self):
        def answer(request):
            request.send_response_only(200)
            for i in range(5000):
                request.send_header(f"X-{i}", "x" * 100)
            request.end_headers()
        self.fails(answer, "headers of the server are too large")

    def test_encoded_files_are_refused(self):
        self.fails(lambda request: request.file(large(), Content_Encoding="gzip"), "encoded")

    def test_errors_in_the_middle_are_errors(self):
        """What could not be fetched does not read as zeros, and nothing is written."""
        def answer(request):
            if len(request.server.requests) <= 3:
                return request.file(large())
            request.head(403, Content_Length=0)
            return None
        self.fails(answer, "no access")

    def test_a_connection_that_always_breaks(self):
        def answer(request):
            first, end = request.range(len(large()))
            request.head(206, Content_Length=end - first, ETag='"1"',
                         Content_Range=f"bytes {first}-{end - 1}/{len(large())}")
            request.body(large()[first:first + 10])
            return CLOSE
        self.fails(answer, "broke again and again")

    def test_no_server(self):
        self.assert_fails(f"http://127.0.0.1:{servers.free_port()}/m", "cannot connect")

    def test_http_is_for_this_machine(self):
        for url in ("http://192.0.2.1/m", "http://example.com/m", "http://localhost.example.com/m",
                    "http://127.0.0.1.example.com/m", "http://0x7f000001.example/m"):
            self.assert_fails(url, "use https")

    def test_what_is_no_url(self):
        for url in ("https://", "hf://org", "hf://org/../x", "hf://o/m/../../api", "s3://bucket",
                    "s3://bucket/a/../b", "https://[::1%25eth0]/m", "http://127.0.0.1:99999/"):
            files, _ = self.scan(url, expect=2)
            self.assertNotIn("verdict", files[0], url)

    @unittest.skipUnless(HAS_OPENSSL, "SKIPPED: no openssl here")
    def test_https_is_not_given_up(self):
        with serving(lambda request: request.file(large())) as plain:
            self.fails(lambda request: request.head(302, Location=plain.url + "/m", Content_Length=0),
                       "from https to http", tls=authority())
            self.assertEqual(plain.requests, [])

    @unittest.skipUnless(HAS_OPENSSL, "SKIPPED: no openssl here")
    def test_tls_that_is_cut_off(self):
        def answer(request):
            first, end = request.range(len(large()))
            request.head(206, Content_Length=end - first, ETag='"1"',
                         Content_Range=f"bytes {first}-{end - 1}/{len(large())}")
            request.body(large()[first:first + 10])
            request.connection.shutdown(2)  # no close_notify
            return CLOSE
        self.fails(answer, "broke again and again", tls=authority())


class Secrets(RemoteTest):
    def test_credentials_are_for_their_origin(self):
        def elsewhere(request):
            return request.file(large())
        with serving(elsewhere) as other:
            def answer(request):
                if request.path.startswith("/moved"):
                    return request.file(large())
                return request.head(302, Location=other.url + "/m?sig=of-the-server",
                                    Content_Length=0)
            with serving(answer) as server:
                host = server.url.removeprefix("http://")
                for path in ("/m.safetensors?sig=querysecret", "/moved?sig=querysecret"):
                    url = f"http://user:passwordsecret@{host}{path}"
                    for arguments in (["scan"], ["inspect"], ["inspect", "--json"],
                                      ["convert", "-o", "o.safetensors", "--overwrite"],
                                      ["scan", "--format", "json"], ["hash", "--whole"]):
                        done = self.tare(*arguments, url, expect=0)
                        self.assertNotRegex(done.stdout + done.stderr, "secret|user|sig")
                first = server.requests[0][2]
                self.assertEqual(first["Authorization"], "Basic dXNlcjpwYXNzd29yZHNlY3JldA==")
        self.assertTrue(other.requests)
        for _, _, headers in other.requests:
            self.assertNotIn("Authorization", headers)
            self.assertNotIn("Cookie", headers)

    def test_errors_do_not_tell_them(self):
        for url in ("https://user:passwordsecret@127.0.0.1:1/m?sig=querysecret",
                    "https://user:pass/wordsecret@127.0.0.1:1/m", "https://user:passwordsecret@/",
                    "https://user:pa?ssecret@host/"):
            for verb in (["scan"], ["inspect"], ["convert"], ["hash"], ["check"], ["disasm"],
                         ["verify", "x.safetensors"]):
                done = self.tare(*verb, url, expect=2)
                self.assertNotIn("secret", done.stdout + done.stderr)

    def test_credentials_do_not_follow_an_index_elsewhere(self):
        index = json.dumps({"weight_map": {"t": "https://127.0.0.1:1/x.safetensors"}}).encode()
        with serving(lambda request: request.file(index)) as server:
            self.tare("inspect", server.url + "/model.safetensors.index.json", expect=2)
            self.assertEqual(len(server.requests), 1)


class Hub(RemoteTest):
    """A hub that redirects to another server for the bytes, as the real one does."""

    def setUp(self):
        super().setUp()
        self.files = {"model.safetensors": large(), "config.json": b'{"model_type": "x"}',
                      "sub/old.pt": checkpoint_bytes()}
        self.told = {name: hashlib.sha256(content).hexdigest()
                     for name, content in self.files.items()}

    def hub(self, request):
        url = urllib.parse.urlsplit(request.path)
        if url.path == "/api/models/org/model/tree/main":
            names = sorted(self.files)
            at = int(urllib.parse.parse_qs(url.query).get("cursor", ["0"])[0])
            body = json.dumps([{"type": "directory", "path": "sub"},
                               {"type": "file", "path": names[at], "size": 1}]).encode()
            more = {}
            if at + 1 < len(names):
                more["Link"] = f'<{request.server.url}{url.path}?recursive=true&cursor={at + 1}>; rel="next"'
            request.head(200, Content_Length=len(body), **more)
            return request.body(body)
        name = urllib.parse.unquote(url.path).removeprefix("/org/model/resolve/main/")
        if name not in self.files:
            return request.head(404, Content_Length=0)
        return request.head(302, Location=f"{self.cdn.url}/{name}?sig=cdnsecret", Content_Length=0,
                            X_Linked_Etag=f'"{self.told[name]}"',
                            X_Linked_Size=len(self.files[name]))

    def bytes_of(self, request):
        return request.file(self.files[urllib.parse.urlsplit(request.path).path[1:]])

    def run_with_hub(self, test):
        with serving(self.bytes_of) as self.cdn, serving(self.hub) as server:
            self.variables = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_tokensecret"}
            test(server)
            self.assertTrue(server.requests)
            for _, _, headers in server.requests:
                self.assertEqual(headers["Authorization"], "Bearer hf_tokensecret")
            for _, _, headers in self.cdn.requests:
                self.assertNotIn("Authorization", headers)

    def test_a_repository_is_all_its_files(self):
        def test(server):
            files, done = self.scan("hf://org/model", variables=self.variables)
            self.assertEqual([(file["path"], file["verdict"]) for file in files],
                             [("hf://org/model/config.json", "safe"),
                              ("hf://org/model/model.safetensors", "safe"),
                              ("hf://org/model/sub/old.pt", "safe")])
            self.assertNotIn("secret", done.stdout + done.stderr)
            # The place that the first answer led to is asked again, not the hub.
            asked = [path for _, path, _ in server.requests if "/resolve/" in path]
            self.assertEqual(len(asked), 3)
        self.run_with_hub(test)

    def test_patterns_are_held_against_the_files_of_a_repository(self):
        def test(_):
            done = self.tare("scan", "--format", "json", "--include", "*.pt", "hf://org/model",
                             expect=0, variables=self.variables)
            report = json.loads(done.stdout)
            self.assertEqual([file["path"] for file in report["files"]],
                             ["hf://org/model/sub/old.pt"])
            self.assertEqual(report["totals"]["excluded"], 2)
        self.run_with_hub(test)

    def test_a_conversion_checks_the_digest(self):
        def test(_):
            for more in ([], ["--download"]):
                done = self.tare("convert", "--json", "hf://org/model", "--overwrite", *more,
                                 expect=0, variables=self.variables)
                report = json.loads(done.stdout)
                self.assertEqual(report["fetched"]["sha256"], "equal")
                self.assertEqual(report["fetched"]["bytes"], len(large()))
            self.assertIn("model.safetensors", self.files_here())
        self.run_with_hub(test)

    def files_here(self):
        return os.listdir(self.folder)

    def test_another_digest_is_an_error(self):
        self.told["model.safetensors"] = "0" * 64

        def test(_):
            for more in ([], ["--download"]):
                done = self.tare("convert", "hf://org/model/model.safetensors", *more, expect=2,
                                 variables=self.variables)
                self.assert_one_line_error(done, "SHA-256 that the server tells")
            self.assertEqual(self.files_here(), [])
        self.run_with_hub(test)

    def test_several_models_are_named(self):
        self.files["other.safetensors"] = large()
        self.told["other.safetensors"] = "0" * 64

        def test(_):
            done = self.tare("inspect", "hf://org/model", expect=2, variables=self.variables)
            self.assert_one_line_error(done, "several models", "model.safetensors, other.safetensors")
        self.run_with_hub(test)

    def test_a_list_that_leads_elsewhere_is_refused(self):
        with serving(lambda request: request.head(200, Content_Length=0)) as other:
            def answer(request):
                body = json.dumps([{"type": "file", "path": "a.pt"}]).encode()
                request.head(200, Content_Length=len(body), Link=f'<{other.url}/x>; rel="next"')
                request.body(body)
            with serving(answer) as server:
                self.tare("scan", "hf://org/model", expect=2, variables={"HF_ENDPOINT": server.url})
            self.assertEqual(other.requests, [])

    def test_names_that_lead_elsewhere_are_refused(self):
        for name in ("../../x.pt", "/x.pt", "a//b.pt"):
            body = json.dumps([{"type": "file", "path": name}]).encode()

            def answer(request, body=body):
                request.head(200, Content_Length=len(body))
                request.body(body)
            with serving(answer) as server:
                done = self.tare("scan", "hf://org/model", expect=2,
                                 variables={"HF_ENDPOINT": server.url})
            self.assertIn("outside of the repository", done.stdout)


def signature_of(method, path, headers, secret, region="us-east-1"):
    """Signature Version 4, from its description: independent of the one that is tested."""
    given = {name.lower(): value for name, value in headers.items()}
    fields = dict(part.strip().split("=", 1)
                  for part in given["authorization"].removeprefix("AWS4-HMAC-SHA256").split(","))
    names = fields["SignedHeaders"].split(";")
    url = urllib.parse.urlsplit(path)
    canonical = "\n".join([method, url.path, url.query,
                           *(f"{name}:{given[name].strip()}" for name in names), "",
                           ";".join(names), given["x-amz-content-sha256"]])
    stamp = given["x-amz-date"]
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (stamp[:8], region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), fields["Signature"], names


class S3(RemoteTest):
    KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "awssecret",
            "AWS_SESSION_TOKEN": "tokensecret"}

    def test_requests_are_signed(self):
        path = "/bucket/a%20folder/m%2Bx%3D1.safetensors"

        def answer(request):
            expected, given, names = signature_of(request.command, request.path, request.headers,
                                                  "awssecret")
            stamp = datetime.datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
            age = abs((datetime.datetime.utcnow() - stamp).total_seconds())
            good = (expected == given and request.path == path and age < 60 and
                    request.headers["x-amz-security-token"] == "tokensecret" and
                    "x-amz-security-token" in names)
            if good and request.command == "GET":
                good = "range" in names
            if not good:
                return request.head(403, Content_Length=0)
            return request.file(large())
        with serving(answer) as server:
            done = self.tare("convert", "s3://bucket/a folder/m+x=1.safetensors", "-o", "o.safetensors",
                             expect=0, variables={"AWS_ENDPOINT_URL": server.url, **self.KEYS})
            self.assertNotIn("secret", done.stdout + done.stderr)
            wrong = dict(self.KEYS, AWS_SECRET_ACCESS_KEY="other")
            self.assert_fails("s3://bucket/a folder/m+x=1.safetensors", "no access",
                              variables={"AWS_ENDPOINT_URL_S3": server.url, **wrong})

    def test_without_keys_nothing_is_signed(self):
        with serving(lambda request: request.file(large())) as server:
            self.scan_one("s3://bucket/key", variables={"AWS_ENDPOINT_URL": server.url})
            for _, _, headers in server.requests:
                self.assertNotIn("Authorization", headers)

    def test_half_a_pair_of_keys_is_an_error(self):
        self.assert_fails("s3://bucket/key", "AWS_SECRET_ACCESS_KEY",
                          variables={"AWS_ACCESS_KEY_ID": "x"})

    def test_the_checksum_of_an_object_is_checked(self):
        import base64
        for digest, code in ((hashlib.sha256(large()).digest(), 0), (bytes(32), 2)):
            def answer(request, digest=digest):
                if request.command == "HEAD":
                    self.assertEqual(request.headers["x-amz-checksum-mode"], "ENABLED")
                    return request.head(200, Content_Length=len(large()), ETag='"1"',
                                        x_amz_checksum_sha256=base64.b64encode(digest).decode())
                return request.file(large())
            with serving(answer) as server:
                done = self.tare("convert", "--overwrite", "s3://bucket/m.safetensors", expect=code,
                                 variables={"AWS_ENDPOINT_URL": server.url})
                if code == 0:
                    self.assertIn("its SHA-256 is what the server tells", done.stdout)

    def test_against_moto(self):
        """An S3 that others wrote. It does not check signatures; the test above does."""
        python = next((python for python in
                       [sys.executable, *os.environ.get("TARE_MOTO_PYTHON", "").split(":")]
                       if python and subprocess.run([python, "-c", "import moto.server, boto3"],
                                                    capture_output=True, check=False).returncode == 0),
                      None)
        if python is None:
            self.skipTest("SKIPPED: no Python here has moto[server] and boto3")
        port = servers.free_port()
        process = subprocess.Popen([python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.terminate)
        self.write("large", large())
        script = f"""
import boto3, time
for i in range(100):
    try:
        s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:{port}", region_name="us-east-1",
                          aws_access_key_id="a", aws_secret_access_key="b")
        s3.create_bucket(Bucket="bucket")
        break
    except Exception:
        time.sleep(0.1)
s3.put_object(Bucket="bucket", Key="a/model.safetensors", Body=open("large", "rb").read(),
              ChecksumAlgorithm="SHA256")
"""
        subprocess.run([python, "-c", script], cwd=self.folder, check=True, timeout=120,
                       env=dict(os.environ, NO_PROXY="*"))
        done = self.tare("convert", "s3://bucket/a/model.safetensors", "-o", "o.safetensors", expect=0,
                         variables={"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                                    "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
        self.assertIn("verified", done.stdout)


class Separation(RemoteTest):
    def test_tare_has_no_libcurl_and_the_library_no_process(self):
        if servers.shutil.which("ldd") is None:
            self.skipTest("SKIPPED: no ldd here")
        linked = subprocess.run(["ldd", os.path.abspath(TARE)], capture_output=True, text=True,
                                check=True).stdout
        self.assertNotIn("libcurl", linked)
        fetch = os.path.join(os.path.dirname(os.path.abspath(TARE)), "tare-fetch")
        self.assertIn("libcurl", subprocess.run(["ldd", fetch], capture_output=True, text=True,
                                                check=True).stdout)

    def test_tare_fetch_alone_does_nothing(self):
        fetch = os.path.join(os.path.dirname(os.path.abspath(TARE)), "tare-fetch")
        done = subprocess.run([fetch], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=30)
        self.assertEqual(done.returncode, 4)
        self.assertIn("is started by tare", done.stderr)


if __name__ == "__main__":
    unittest.main()
