"""Any OpenAI-compatible server answers as a model does; one that is late, busy or broken costs an item, not a run."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.inference.chat_server import ChatServer, completion, drip, hang_up, reply, sleep, status
from vesalius.errors import ModelError, OptionError
from vesalius.inference.endpoint import Endpoint, Patience, chat_address
from vesalius.phantoms.volumes import draw_volume
from vesalius.phantoms.write_media import write_clip, write_volume

QUICK = Patience(timeout_s=0.5, retries=2, backoff_s=0.01, give_up_after=3)


def asked(*texts: str) -> list[list[dict[str, Any]]]:
    return [[{"role": "user", "content": [{"type": "text", "text": text}]}] for text in texts]


def test_pictures_volumes_and_clips_reach_the_server_as_png(tmp_path: Path):
    truth = draw_volume(9_000_002, "ct", region="chest", shape=(64, 80, 20))
    write_volume(tmp_path / "scan.nii.gz", truth.values, truth.affine_ras)
    write_clip(tmp_path / "clip.webm", [np.full((48, 64, 3), k, np.uint8) for k in range(6)], [k / 2 for k in range(6)])
    parts = [
        {"type": "image", "image": np.zeros((30, 40), np.uint8)},
        {"type": "volume", "volume": tmp_path / "scan.nii.gz", "num_slices": 3, "axis": "axial"},
        {"type": "video", "video": tmp_path / "clip.webm", "timestamps": [0.0, 2.0]},
        {"type": "text", "text": "What is <image> it?"},
    ]
    with ChatServer() as chat:
        (answer,) = Endpoint(chat.url, "m").ask_batch(
            [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]],
            max_new_tokens=9, temperature=0.5, seed=3, top_p=0.9,
        )  # fmt: skip
    assert answer.text == "What is <image> it? [40x30 64x80 64x80 64x80 64x48 64x48]"
    assert answer.raw == answer.text
    assert answer.question == "What is <image> it?"
    assert (answer.usage.prompt_tokens, answer.usage.new_tokens, answer.usage.finish) == (11, 4, "stop")
    (body,) = chat.asked
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["model"], body["max_tokens"], body["temperature"], body["seed"], body["top_p"]) == (
        "m",
        9,
        0.5,
        3,
        0.9,
    )


def test_answers_keep_their_order_and_as_many_are_under_way_as_asked_for():
    with ChatServer(delay_s=0.1) as chat:
        answers = Endpoint(chat.url, "m").ask_batch(asked(*map(str, range(12))), batch_size=4)
    assert [a.text for a in answers] == [f"{k} []" for k in range(12)]
    assert chat.most_at_once == 4


def test_each_request_may_have_its_own_seed():
    with ChatServer() as chat:
        Endpoint(chat.url, "m").ask_batch(asked("a", "b", "c"), temperature=1.0, seeds=[7, 8, 9])
    assert {body["messages"][0]["content"]: body["seed"] for body in chat.asked} == {"a": 7, "b": 8, "c": 9}


def test_the_key_is_sent_as_bearer_token(monkeypatch: pytest.MonkeyPatch):
    with ChatServer() as chat:
        Endpoint(chat.url, "m").ask_batch(asked("x"))
        monkeypatch.setenv("VESALIUS_ENDPOINT_KEY", "secret")
        Endpoint(chat.url, "m").ask_batch(asked("x"))
    assert [h.get("authorization") for h in chat.headers] == [None, "Bearer secret"]


def test_thoughts_are_kept_apart_and_stay_in_raw():
    cut = completion(None, reasoning_content="hm", finish_reason="length")
    with ChatServer(faults=[reply(completion("B", reasoning_content="hm")), reply(cut)]) as chat:
        one, two = (Endpoint(chat.url, "m").ask_batch(asked("x"))[0] for _ in range(2))
    assert (one.text, one.thinking, one.raw) == ("B", "hm", "<think>hm</think>B")
    assert (two.text, two.raw, two.usage.finish) == ("", "<think>hm", "length")


def test_a_busy_server_is_asked_again_when_it_says():
    with ChatServer(faults=[status(429, Retry_After="0.4"), status(503)]) as chat:
        started = time.monotonic()
        (answer,) = Endpoint(chat.url, "m", patience=QUICK).ask_batch(asked("x"))
        spent = time.monotonic() - started
    assert answer.text == "x []"
    assert len(chat.asked) == 3
    assert spent >= 0.4


def test_retry_after_may_be_a_date_and_is_not_waited_for_longer_than_allowed():
    later = format_datetime(datetime.now(UTC) + timedelta(hours=3), usegmt=True)
    patience = Patience(timeout_s=5, retries=2, backoff_s=0.01, longest_wait_s=0.2)
    with ChatServer(faults=[status(429, Retry_After=later), status(429, Retry_After="soon")]) as chat:
        started = time.monotonic()
        (answer,) = Endpoint(chat.url, "m", patience=patience).ask_batch(asked("x"))
    assert answer.usage.finish == "stop"
    assert 0.2 <= time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (reply(b"<html>Welcome</html>"), "is not JSON"),
        (reply(b"[1, 2]"), "has no choices"),
        (reply(b'{"choices": []}'), "has no choices"),
        (reply(b'{"choices": [{"message": 7}]}'), "has no message"),
        (reply(completion(None)), "has no content"),
        (reply(b"[" * 100_000), "is not JSON"),
        (status(400, b"context too long"), "status 400: context too long"),
        (status(302, Location="http://127.0.0.1:9/"), "status 302"),
    ],
)
def test_garbage_costs_one_item(fault: Any, said: str):
    with ChatServer(faulty={"bad": fault}) as chat:
        good, bad, also = Endpoint(chat.url, "m", patience=QUICK).ask_batch(asked("one", "bad", "two"))
    assert (good.text, also.text) == ("one []", "two []")
    assert bad.usage.finish == "error"
    assert said in bad.trace["error"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status(500), "status 500 (3 tries)"),
        (sleep(1.2), "no reply within 0.5 s (3 tries)"),
        (drip, "no reply within 0.5 s (3 tries)"),
        (hang_up, "the connection broke off"),
    ],
)
def test_an_item_the_server_fails_on_is_tried_again_and_then_given_up(fault: Any, said: str):
    with ChatServer(faulty={"bad": fault}) as chat:
        good, bad = Endpoint(chat.url, "m", patience=QUICK).ask_batch(asked("one", "bad"))
    assert good.text == "one []"
    assert said in bad.trace["error"]
    assert len(chat.asked) == 4


def test_a_server_that_fails_on_everything_counts_as_down():
    with ChatServer(faulty={"": status(502)}) as chat:
        endpoint = Endpoint(chat.url, "m", patience=QUICK)
        with pytest.raises(ModelError, match="does not answer: status 502"):
            endpoint.ask_batch(asked(*"abcdefgh"), batch_size=1)
    assert len(chat.asked) == 9


def test_a_server_that_is_not_there_is_told_in_one_line():
    with ChatServer() as chat:
        url = chat.url
    with pytest.raises(ModelError, match="no connection") as caught:
        Endpoint(url, "m", patience=QUICK).ask_batch(asked("x"))
    assert "goes on where it stopped" in str(caught.value)


@pytest.mark.parametrize(("code", "fix"), [(401, "VESALIUS_ENDPOINT_KEY"), (404, "--model")])
def test_a_refused_key_or_model_stops_at_once(code: int, fix: str):
    with ChatServer(faulty={"": status(code)}) as chat, pytest.raises(ModelError, match=fix):
        Endpoint(chat.url, "m", patience=QUICK).ask_batch(asked("x"))
    assert len(chat.asked) == 1


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://host:8000", "http://host:8000/v1/chat/completions"),
        ("http://host/v1/", "http://host/v1/chat/completions"),
        ("https://host/api/v3", "https://host/api/v3/chat/completions"),
        ("http://host/v1/chat/completions", "http://host/v1/chat/completions"),
        ("http://host?api=2", "http://host/v1/chat/completions?api=2"),
    ],
)
def test_addresses_may_be_short(given: str, address: str):
    assert chat_address(given) == address


@pytest.mark.parametrize(
    "given", ["host:8000", "ftp://host", "http://", "file:///etc/passwd", "http://me:word@host", ""]
)
def test_what_is_no_address_is_refused_without_showing_a_password(given: str):
    with pytest.raises(OptionError) as caught:
        chat_address(given)
    assert "word@" not in str(caught.value)
