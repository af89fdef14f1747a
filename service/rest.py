"""The REST API: parse, call, answer. Knows nothing about tensors or processes."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Query, Request, Response, UploadFile
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BeforeValidator
from starlette.routing import Route

from service import http_calls, streaming
from service.access import ADMIN_PATHS, Access, Door
from service.answer_schema import (
    DirectionsAnswer,
    EditBodyAnswer,
    ErrorAnswer,
    GenerateAnswer,
    InvertAnswer,
    ModelsAnswer,
    ScoreAnswer,
)
from service.api_docs import DocumentedApi, add_docs
from service.cache import digest
from service.errors import ApiError
from service.guards import BodyLimit, Explained, install_error_handlers
from service.http_calls import (
    HandlersOf,
    KnownTag,
    PlainCall,
    RetryableCall,
    entity_tag,
    is_known,
    json_answer,
    not_modified,
    while_connected,
)
from service.http_metrics import CountedPaths, metrics_page
from service.idempotency import FIELD
from service.images import MEDIA_TYPES
from service.job_schema import JobAnswer, JobBody
from service.jobs import Jobs
from service.playground import add_playground
from service.reloading import Reloaded
from service.request_log import RequestLog
from service.schema import (
    DirectionsBody,
    EditBody,
    EditImageBody,
    GenerateBody,
    InvertBody,
    ScoreBody,
)
from service.sending import Outbox
from service.settings import Settings
from service.uploads import refusing_upload, text_of, upload_body

Responses = dict[int | str, dict[str, Any]]

_ERRORS: Responses = {status: {"model": ErrorAnswer} for status in ("4XX", "5XX")}
_TAGGED: Responses = {304: {"description": "the answer of the If-None-Match still holds"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_IMAGES: Responses = {200: {"content": {media: _BINARY for media in MEDIA_TYPES.values()}}}
_EVENTS: Responses = {
    200: {
        "description": "`frame` events with a FrameAnswer, one `summary` with an EditSummary; "
        "or an `error` with an ErrorAnswer",
        "content": {streaming.MEDIA_TYPE: {"schema": streaming.EVENT_SCHEMA}},
    }
}
_LINKS: Responses = {
    202: {
        "links": {
            name: {"operationId": operation, "parameters": {"id": "$response.body#/job_id"}}
            for name, operation in (
                ("status", "job"),
                ("cancel", "cancel_job"),
            )
        }
    }
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
JobId = Annotated[str, Query(description="job_id of the submit")]


def build_rest(config: Settings, access: Access) -> FastAPI:
    """The application; `app.state` gets its handlers and jobs when the runners are known."""
    app = DocumentedApi(
        title="GradCtrl",
        version="1",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=_ERRORS,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.config = config
    app.add_middleware(Outbox, max_bytes=config.max_unsent_bytes, timeout_s=config.timeout_s)
    app.add_middleware(
        BodyLimit,
        max_bytes=config.max_upload_bytes,
        max_unanswered_bytes=config.max_unanswered_bytes,
        timeout_s=config.timeout_s,
    )
    app.add_middleware(Door, access=access)
    app.add_middleware(Explained)
    if config.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(config.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", FIELD, "If-None-Match"],
            expose_headers=["ETag", "Retry-After", http_calls.REQUEST_ID],
        )
    install_error_handlers(app)
    app.get("/metrics", include_in_schema=False)(metrics_page)
    app.get("/v1/models")(models)
    app.post("/v1/edit", response_model=EditBodyAnswer, responses=_TAGGED)(edit)
    app.post("/v1/edit/stream", response_class=Response, responses=_EVENTS)(edit_stream)
    app.post("/v1/edit/image", response_class=Response, responses=_IMAGES | _TAGGED)(edit_image)
    app.post("/v1/edit/upload", response_model=EditBodyAnswer)(edit_upload)
    app.post("/v1/invert", response_model=InvertAnswer)(invert)
    app.post("/v1/generate", response_model=GenerateAnswer, responses=_TAGGED)(generate)
    app.post("/v1/score", response_model=ScoreAnswer, responses=_TAGGED)(score)
    app.post("/v1/directions", response_model=DirectionsAnswer, responses=_TAGGED)(directions)
    app.post("/v1/jobs", response_model=JobAnswer, status_code=202, responses=_LINKS)(submit_job)
    app.get("/v1/jobs", response_model=JobAnswer)(job)
    app.delete("/v1/jobs", response_model=JobAnswer)(cancel_job)
    app.post(f"{ADMIN_PATHS}reload", include_in_schema=False)(reload)
    add_docs(app)
    add_playground(app)
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    app.add_route("/{path:path}", _no_endpoint, METHODS, include_in_schema=False)
    app.add_middleware(CountedPaths, paths=paths)
    app.add_middleware(RequestLog, has_access_lines=config.access_log)
    return app


async def models(handlers: HandlersOf) -> ModelsAnswer:
    """The served model cards."""
    return handlers.models()


async def edit(
    body: EditBody,
    handlers: HandlersOf,
    call: RetryableCall,
    request: Request,
    known: KnownTag = None,
) -> Response:
    """Edit a latent along attribute directions; answers frames and scores."""
    tag = _image_tag(request, handlers.name_of("edit", body))
    if is_known(known, tag):
        return not_modified(call, tag)
    answer = await while_connected(request, handlers.edit(body, call))
    return json_answer(answer, answer.request_id, tag)


async def edit_stream(
    body: EditBody, handlers: HandlersOf, call: PlainCall, request: Request
) -> Response:
    """The frames of an edit as server-sent events, each as soon as it is rendered."""
    events = handlers.engine.gate.streamed(handlers.edit_stream(body, call))
    first = await while_connected(request, anext(events))
    longest_s = request.app.state.config.timeout_s + streaming.GRACE_S
    return streaming.EventStream(first, events, call.request_id, longest_s)


async def edit_image(
    body: EditImageBody,
    handlers: HandlersOf,
    call: RetryableCall,
    request: Request,
    known: KnownTag = None,
) -> Response:
    """The final image itself, or all frames as one animation."""
    tag = _image_tag(request, handlers.name_of("edit_image", body))
    if is_known(known, tag):
        return not_modified(call, tag)
    answer = await while_connected(request, handlers.edit_image(body, call))
    return Response(
        answer.image,
        media_type=answer.media_type,
        headers=http_calls.headers(call.request_id, tag),
    )


async def edit_upload(
    image: Annotated[UploadFile, File(description="PNG, JPEG or WebP")],
    request: Annotated[
        str, BeforeValidator(text_of), Form(description="JSON of /v1/edit, without source")
    ],
    handlers: HandlersOf,
    call: RetryableCall,
    connection: Request,
) -> Response:
    """Edit an uploaded image; answers frames and scores."""
    body = upload_body(request, await image.read())
    with refusing_upload():
        answer = await while_connected(connection, handlers.edit(body, call))
    return json_answer(answer, answer.request_id)


async def invert(
    body: InvertBody, handlers: HandlersOf, call: PlainCall, request: Request
) -> Response:
    """The latent of an image, its reconstruction, and how far that is from the image."""
    answer = await while_connected(request, handlers.inverted(body, call))
    return json_answer(answer, answer.request_id)


async def generate(
    body: GenerateBody,
    handlers: HandlersOf,
    call: RetryableCall,
    request: Request,
    known: KnownTag = None,
) -> Response:
    """Images and latents of seeds, or images of latents."""
    tag = _image_tag(request, handlers.name_of("generate", body))
    if is_known(known, tag):
        return not_modified(call, tag)
    answer = await while_connected(request, handlers.generate(body, call))
    return json_answer(answer, call.request_id, tag)


async def score(
    body: ScoreBody,
    handlers: HandlersOf,
    call: PlainCall,
    request: Request,
    known: KnownTag = None,
) -> Response:
    """Class probabilities of latents, per attribute."""
    tag = entity_tag(handlers.name_of("score", body))
    if is_known(known, tag):
        return not_modified(call, tag)
    answer = await while_connected(request, handlers.score(body, call))
    return json_answer(answer, call.request_id, tag)


async def directions(
    body: DirectionsBody,
    handlers: HandlersOf,
    call: PlainCall,
    request: Request,
    known: KnownTag = None,
) -> Response:
    """The unit direction at a latent, and what was masked."""
    tag = entity_tag(handlers.name_of("directions", body))
    if is_known(known, tag):
        return not_modified(call, tag)
    answer = await while_connected(request, handlers.directions(body, call))
    return json_answer(answer, call.request_id, tag)


async def submit_job(body: JobBody, call: RetryableCall, request: Request) -> Response:
    """Have a request worked on; answers at once with its job_id."""
    answer = _jobs(request).submit(body, call)
    return json_answer(answer, call.request_id, status=202)


async def job(id: JobId, call: PlainCall, request: Request) -> Response:
    """Where a job stands, and its result."""
    return json_answer(_jobs(request).status(id), call.request_id)


async def cancel_job(id: JobId, call: PlainCall, request: Request) -> Response:
    """Stop a job; its work in the runners stops too."""
    return json_answer(_jobs(request).cancel(id), call.request_id)


async def reload(request: Request) -> Reloaded:
    """Serve what the store holds now."""
    return await request.app.state.reloading.reload()


def _image_tag(request: Request, name: str) -> str:
    """The ETag of an answer with images: settings decide what they are, too."""
    config: Settings = request.app.state.config
    return entity_tag(digest(name, config.rendering))


def _jobs(request: Request) -> Jobs:
    return request.app.state.jobs


async def _no_endpoint(request: Request) -> Response:
    """Refuse a path that is none, or a method that the path has not."""
    path, routes = request.url.path, request.app.routes
    methods = {name for one in routes if one.path == path for name in one.methods or ()}
    if methods:
        message = f"{path} takes {', '.join(sorted(methods))}, not {request.method}"
        allow = {"Allow": ", ".join(sorted(methods))}
        raise ApiError(
            "bad_request", message, "method", sorted(methods), HTTPStatus.METHOD_NOT_ALLOWED, allow
        )
    raise ApiError("bad_request", f"no such path: {path}", status=HTTPStatus.NOT_FOUND)
