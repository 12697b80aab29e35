import hashlib
import io
import urllib.error
import urllib.request

import pytest

from edgehar.datasets import download as module
from edgehar.datasets.download import download
from edgehar.errors import DataError

URL = "https://data.example/a.zip"
BODY = b"0123456789" * 60_000


class _Answer(io.BytesIO):
    def __init__(self, body=BODY, length=600_000, url=URL):
        super().__init__(body)
        self.headers = {} if length is None else {"Content-Length": str(length)}
        self.url = url


def _serve(monkeypatch, answer):
    def urlopen(request, timeout):
        assert request.full_url == URL
        assert 0 < timeout <= 60
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)


def test_whole_file_with_progress(monkeypatch, tmp_path):
    _serve(monkeypatch, _Answer())
    seen = []
    path = tmp_path / "new" / "a.zip"
    expected = hashlib.sha256(BODY).hexdigest()
    assert download(URL, path, lambda *p: seen.append(p), expected.upper()) == expected
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert list(path.parent.iterdir()) == [path]


def test_unknown_length_is_accepted(monkeypatch, tmp_path):
    _serve(monkeypatch, _Answer(length=None))
    seen = []
    download(URL, tmp_path / "a.zip", lambda *p: seen.append(p))
    assert seen[-1] == (len(BODY), 0)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (urllib.error.URLError(OSError(-3, "Temporary failure in name resolution")), "cannot be reached .*--from"),
        (urllib.error.HTTPError(URL, 404, "Not Found", None, None), "cannot be reached .*Not Found"),
        (TimeoutError("timed out"), "could not be saved .*timed out"),
        (_Answer(length=len(BODY) + 1), "ended after 600000 of 600001 bytes"),
        (_Answer(url="http://data.example/a.zip"), "leads to http://data.example/a.zip, which is not https"),
    ],
)
def test_failure_leaves_the_old_file(monkeypatch, tmp_path, answer, message):
    path = tmp_path / "a.zip"
    path.write_bytes(b"old")
    _serve(monkeypatch, answer)
    with pytest.raises(DataError, match=message):
        download(URL, path, lambda *_: None)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.zip", b"old")]


def test_too_large_is_cut_off(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SIZE_LIMIT", 300_000)
    answer = _Answer(length=None)
    _serve(monkeypatch, answer)
    with pytest.raises(DataError, match="more than 300000 bytes"):
        download(URL, tmp_path / "a.zip", lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_other_sha256_is_not_kept(monkeypatch, tmp_path):
    _serve(monkeypatch, _Answer())
    with pytest.raises(DataError, match=r"expected 0{64}; nothing was kept"):
        download(URL, tmp_path / "a.zip", lambda *_: None, "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_interrupt_leaves_nothing(monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    _serve(monkeypatch, _Answer())
    with pytest.raises(KeyboardInterrupt):
        download(URL, tmp_path / "a.zip", stop)
    assert list(tmp_path.iterdir()) == []


def test_plain_http_is_a_wrong_argument(tmp_path):
    with pytest.raises(ValueError, match="expected an https address"):
        download("http://data.example/a.zip", tmp_path / "a.zip", lambda *_: None)
