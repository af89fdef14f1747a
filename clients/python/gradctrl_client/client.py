"""The client: one method per endpoint, PIL images out."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx

from gradctrl_client.errors import GradCtrlError, ServiceUnreachableError
from gradctrl_client.results import Edit, Generated, Scores, parse_edit, parse_generated

DEFAULT_TIMEOUT_S = 60.0


class Client:
    """Talks to one service; thread-safe, keeps connections open. Use it in a `with` block."""

    def __init__(self, url: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_s)

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
        self._http.close()

    def edit(
        self,
        attribute: str | None = None,
        target: str | None = None,
        *,
        seed: int | None = None,
        latent: list[Any] | None = None,
        space: str | None = None,
        class_label: int | list[float] | None = None,
        edits: list[dict[str, Any]] | None = None,
        model: str | None = None,
        truncation: float | None = None,
        frames: str = "all",
        output: dict[str, Any] | None = None,
        **options: Any,  # steps, step_size, exclude, layers, stop of a single edit
    ) -> Edit:
        """Edit a seed or a latent: one attribute, or a list of `edits` as in the REST API.

        `space` is that of the latent: z, w or w_plus; by default the one the model edits in, as in
        the latents of answers. Conditional models need a `class_label` with a seed or a z.
        """
        if edits is None:
            edits = [{"attribute": attribute, "target": target, **options}]
        source = {"seed": seed, "latent": latent, "space": space, "class_label": class_label}
        body = {
            "model": model,
            "source": {key: value for key, value in source.items() if value is not None},
            "edits": edits,
            "truncation": truncation,
            "frames": frames,
            "output": output or {},
        }
        return parse_edit(self._post("/v1/edit", body).json())

    def edit_image(self, body: dict[str, Any]) -> bytes:
        """The encoded final image, or animation, of a /v1/edit/image request."""
        return self._post("/v1/edit/image", body).content

    def generate(
        self,
        seeds: list[int] | None = None,
        latents: list[list[Any]] | None = None,
        *,
        space: str | None = None,
        class_label: int | list[float] | None = None,
        model: str | None = None,
        truncation: float | None = None,
        output: dict[str, Any] | None = None,
    ) -> Generated:
        """Images of seeds or of latents; `space` and `class_label` as for an edit."""
        body = {
            "model": model,
            "seeds": seeds,
            "latents": latents,
            "space": space,
            "class_label": class_label,
            "truncation": truncation,
            "output": output or {},
        }
        return parse_generated(self._post("/v1/generate", body).json())

    def score(self, latents: list[list[Any]], *, model: str | None = None) -> list[Scores]:
        """Class probabilities of latents."""
        return self._post("/v1/score", {"model": model, "latents": latents}).json()["scores"]

    def directions(self, **body: Any) -> dict[str, Any]:
        """The unit direction of a /v1/directions request and what was masked."""
        return self._post("/v1/directions", body).json()

    def models(self) -> list[dict[str, Any]]:
        """The served model cards."""
        return self._send("GET", "/v1/models", None).json()["models"]

    def is_ready(self) -> bool:
        """Whether the service answers that it is ready."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            message = f"{self._http.base_url}{path.lstrip('/')}: {error}"
            raise ServiceUnreachableError("unreachable", message) from error
        if answer.is_success:
            return answer
        raise _refusal(answer)


def _refusal(answer: httpx.Response) -> GradCtrlError:
    try:
        error = answer.json()["error"]
        return GradCtrlError(
            error["code"],
            error["message"],
            error.get("field"),
            error.get("allowed"),
            answer.status_code,
        )
    except (ValueError, KeyError, TypeError):
        message = f"HTTP {answer.status_code}: {answer.text[:200]}"
        return GradCtrlError("internal", message, status=answer.status_code)
