"""The REST API: parse, call, answer. Knows nothing about tensors or processes."""

import uuid
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware

from service import answers, specs
from service.engine import Engine
from service.errors import ApiError
from service.guards import BodyLimit, install_error_handlers
from service.images import MEDIA_TYPES
from service.schema import (
    DirectionsAnswer,
    DirectionsBody,
    EditBody,
    EditBodyAnswer,
    EditImageBody,
    EditRequest,
    ErrorAnswer,
    GenerateAnswer,
    GenerateBody,
    ModelsAnswer,
    ScoreAnswer,
    ScoreBody,
    ServedModel,
)
from service.settings import Settings

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer} for status in ("4XX", "5XX")
}
_IMAGES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            media: {"schema": {"type": "string", "format": "binary"}}
            for media in MEDIA_TYPES.values()
        }
    }
}


def _engine(request: Request) -> Engine:
    return request.app.state.engine


EngineOf = Annotated[Engine, Depends(_engine)]


def build_rest(config: Settings) -> FastAPI:
    """The application; its engine is set on `app.state.engine` when the runners are known."""
    app = FastAPI(
        title="GradCtrl",
        version="1",
        openapi_url="/v1/openapi.json",
        docs_url="/v1/docs",
        redoc_url=None,
        responses=_ERRORS,
    )
    app.add_middleware(BodyLimit, max_bytes=config.max_upload_bytes)
    if config.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(config.cors_origins), allow_methods=["GET", "POST"]
        )
    install_error_handlers(app)
    app.get("/v1/models")(models)
    app.post("/v1/edit")(edit)
    app.post("/v1/edit/image", response_class=Response, responses=_IMAGES)(edit_image)
    app.post("/v1/generate")(generate)
    app.post("/v1/score")(score)
    app.post("/v1/directions")(directions)
    app.add_route("/{path:path}", _not_found, include_in_schema=False)
    return app


async def models(engine: EngineOf) -> ModelsAnswer:
    """The served model cards."""
    return ModelsAnswer(
        models=[
            ServedModel(**served.card.model_dump(), tag=served.tag, default=index == 0)
            for index, served in enumerate(engine.served)
        ]
    )


async def edit(body: EditBody, engine: EngineOf) -> EditBodyAnswer:
    """Edit a latent along attribute directions; answers frames and scores."""
    served = specs.choose_model(engine.served, body.model)
    spec = specs.walk_spec(served, body)
    edited = await engine.edit(
        served, spec, specs.encoding(body.output), final_only=body.frames == "final"
    )
    return answers.edit_answer(uuid.uuid4().hex, served, spec, edited)


async def edit_image(body: EditImageBody, engine: EngineOf) -> Response:
    """The final image itself, or all frames as one animation."""
    served = specs.choose_model(engine.served, body.model)
    spec = specs.walk_spec(served, body)
    encoding = specs.encoding(body.output, body.animation)
    edited = await engine.edit(
        served,
        spec,
        encoding,
        final_only=not body.animation,
        animation=body.animation,
    )
    return Response(edited.images[0], media_type=MEDIA_TYPES[encoding.format])


async def generate(body: GenerateBody, engine: EngineOf) -> GenerateAnswer:
    """Images and latents of seeds, or images of latents."""
    served = specs.choose_model(engine.served, body.model)
    starts = specs.generate_starts(served, body)
    generated = await engine.generate(served, starts, specs.encoding(body.output))
    return answers.generate_answer(served, generated)


async def score(body: ScoreBody, engine: EngineOf) -> ScoreAnswer:
    """Class probabilities of latents, per attribute."""
    served = specs.choose_model(engine.served, body.model)
    specs.expect_attributes(served)
    latents = {f"latents[{index}]": values for index, values in enumerate(body.latents)}
    starts = specs.latent_starts(served, latents)
    return answers.score_answer(served, await engine.score(served, starts))


async def directions(body: DirectionsBody, engine: EngineOf) -> DirectionsAnswer:
    """The unit direction at a latent, and what was masked."""
    served = specs.choose_model(engine.served, body.model)
    edit_request = EditRequest(
        attribute=body.attribute,
        target=body.target,
        steps=1,
        exclude=body.exclude,
        layers=body.layers,
    )
    spec = specs.direction_spec(served, body.latent, edit_request)
    return answers.directions_answer(served, spec, await engine.direction(spec))


async def _not_found(request: Request) -> Response:
    raise ApiError("bad_request", f"no such path: {request.url.path}", status=404)
