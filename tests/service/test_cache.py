"""service/cache.py: names of requests, what is kept, what goes first."""

from service.cache import AnswerCache, digest
from service.schema import ScoreBody


def test_equal_requests_have_equal_names() -> None:
    body = ScoreBody(latents=[[1.0, 2.0]])
    assert digest("score", "v1", body) == digest("score", "v1", ScoreBody(latents=[[1.0, 2.0]]))
    others = [
        digest("generate", "v1", body),
        digest("score", "v2", body),
        digest("score", "v1", ScoreBody(latents=[[1.0, 2.5]])),
        digest("score", "v1", ScoreBody(latents=[["\ud800"]])),  # half a surrogate pair
    ]
    assert len({digest("score", "v1", body), *others}) == 5


def test_the_least_recently_used_answer_goes_first() -> None:
    cache: AnswerCache[str] = AnswerCache(max_bytes=10)
    cache.put("a", "first", 4)
    cache.put("b", "second", 4)
    assert cache.get("a") == "first"
    cache.put("c", "third", 4)
    assert cache.get("b") is None
    assert cache.get("a") == "first"
    assert cache.get("c") == "third"


def test_an_answer_larger_than_the_cache_is_not_kept() -> None:
    cache: AnswerCache[str] = AnswerCache(max_bytes=3)
    cache.put("a", "first", 4)
    assert cache.get("a") is None
    nothing: AnswerCache[str] = AnswerCache(max_bytes=0)
    nothing.put("a", "first", 1)
    assert nothing.get("a") is None
