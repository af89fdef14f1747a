"""How much one request may ask for: latents of its walk, or images. Knows no transport.

Steps x edits x batch is the number of latents that are scored or rendered, which is what runners
spend their time on.
"""

from dataclasses import dataclass

from service.errors import ApiError
from service.schema import GenerateBody
from service.specs import WalkSpec


@dataclass(frozen=True)
class Budget:
    """The most latents of one request."""

    max_frames: int

    def expect_walk(self, spec: WalkSpec) -> None:
        """Raise an ApiError for a walk of too many points; `final` frames cost the walk too."""
        self._expect(spec.max_frames, "edits", "the steps of all edits, and one")

    def expect_images(self, body: GenerateBody) -> None:
        """Raise an ApiError for too many images."""
        field = "seeds" if body.seeds is not None else "latents"
        self._expect(len(body.seeds or body.latents or ()), field, "the images of a call")

    def _expect(self, frames: int, field: str, what: str) -> None:
        if frames > self.max_frames:
            message = f"{what}: they are at most {self.max_frames} in a request; got {frames}"
            raise ApiError("bad_request", message, field, [1, self.max_frames])
