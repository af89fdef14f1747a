"""The blocking client: one method per endpoint, PIL images and numpy latents out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar, Unpack

from gradctrl_client import calls
from gradctrl_client.connection import DEFAULT_TIMEOUT_S, ConnectionSettings, Tls, with_key
from gradctrl_client.errors import DeadlineExceededError, GradCtrlError
from gradctrl_client.options import (
    EditOptions,
    GenerateOptions,
    InvertOptions,
    Latents,
    StreamOptions,
)
from gradctrl_client.polling import POLL_S, next_poll_s, result_of
from gradctrl_client.results import Edit, Generated, Inverted, Job, JobResult, Scores
from gradctrl_client.retrying import Retrying
from gradctrl_client.streams import EditStream, expect_begun
from gradctrl_client.transports import open_transport

Result = TypeVar("Result")


class Client:
    """Talks to one service; thread-safe, keeps connections open. Use it in a `with` block.

    `http://` and `https://` are the REST API, `grpc://` and `grpcs://` the gRPC API.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        *,
        retries: int = 3,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        tls: Tls | None = None,
    ) -> None:
        own = with_key(headers, api_key)
        self._transport = open_transport(ConnectionSettings(url, timeout_s, own, tls))
        self._retrying = Retrying(retries, timeout_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def edit(
        self,
        attribute: str | None = None,
        target: str | None = None,
        **options: Unpack[EditOptions],
    ) -> Edit:
        """Edit a seed or a latent: one attribute, or a list of `edits` as in the REST API."""
        return self._run(calls.edit(attribute, target, options))

    def edit_stream(
        self,
        attribute: str | None = None,
        target: str | None = None,
        **options: Unpack[StreamOptions],
    ) -> EditStream:
        """The same edit, its frames as they are rendered."""
        call = calls.edit_stream(attribute, target, options)

        def start() -> EditStream:
            events = self._transport.stream(call)
            return EditStream(expect_begun(next(events, None)), events)

        return self._retried(start, is_repeatable=True)

    def edit_image(self, body: Mapping[str, Any]) -> bytes:
        """The encoded final image, or animation, of a /v1/edit/image request."""
        return self._run(calls.edit_image(body))

    def generate(self, seeds: Any = None, **options: Unpack[GenerateOptions]) -> Generated:
        """Images of seeds or of latents."""
        return self._run(calls.generate(seeds, options))

    def invert(self, image: bytes, **options: Unpack[InvertOptions]) -> Inverted:
        """The latent of an encoded image (PNG, JPEG, WebP) and the image that it gives."""
        return self._run(calls.invert(image, options))

    def score(self, latents: Latents, *, model: str | None = None) -> list[Scores]:
        """Class probabilities of latents."""
        return self._run(calls.score(latents, model))

    def directions(self, **body: Any) -> dict[str, Any]:
        """The unit direction of a /v1/directions request and what was masked."""
        return self._run(calls.directions(body))

    def models(self) -> list[dict[str, Any]]:
        """The served model cards."""
        return self._run(calls.models())

    def submit_edit(
        self,
        attribute: str | None = None,
        target: str | None = None,
        **options: Unpack[EditOptions],
    ) -> Job:
        """Have an edit worked on; `wait` has its result."""
        return self._run(calls.submit_edit(attribute, target, options))

    def submit(
        self, kind: str, request: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Job:
        """Have any request worked on: a kind of job and the JSON body of its endpoint."""
        return self._run(calls.submit(kind, request, idempotency_key))

    def job(self, job_id: str) -> Job:
        """Where a job stands."""
        return self._run(calls.job(job_id))

    def cancel(self, job_id: str) -> Job:
        """Stop a job; one that is over is refused."""
        return self._run(calls.cancel(job_id))

    def wait(
        self,
        job: Job | str,
        timeout_s: float = 3600.0,
        on_progress: Callable[[Job], object] | None = None,
    ) -> JobResult:
        """The result of a job once it is done; raises why it failed or that it was cancelled."""
        job_id = job if isinstance(job, str) else job.job_id
        deadline, pause = time.monotonic() + timeout_s, POLL_S
        while True:
            status = self.job(job_id)
            if on_progress is not None:
                on_progress(status)
            if status.is_finished:
                return result_of(status)
            if time.monotonic() + pause > deadline:
                message = f"job {job_id} is {status.state} after {timeout_s:g} s"
                raise DeadlineExceededError("deadline_exceeded", message)
            time.sleep(pause)
            pause = next_poll_s(pause)

    def is_ready(self) -> bool:
        """Whether the service answers that it is ready."""
        return self._transport.is_ready()

    def _run(self, call: calls.Call[Result]) -> Result:
        return self._retried(lambda: self._transport.run(call), call.is_repeatable)

    def _retried(self, ask: Callable[[], Result], is_repeatable: bool) -> Result:
        started, tries = time.monotonic(), 0
        while True:
            try:
                return ask()
            except GradCtrlError as error:
                tries += 1
                elapsed = time.monotonic() - started
                wait = self._retrying.wait_s(error, tries, elapsed, is_repeatable)
                if wait is None:
                    raise
            time.sleep(wait)
