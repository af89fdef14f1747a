"""The API service: BentoML around the REST application. Entry point of serve and build."""

import bentoml

from model_store import models_to_serve
from service.engine import Engine
from service.processes import settle_garbage_collector
from service.rest import build_rest
from service.runners import LOGGING, TRAFFIC, ClassifierRunner, GeneratorRunner
from service.settings import settings
from service.specs import ServedCard

rest = build_rest(settings())


@bentoml.service(name="edit_service", workers=1, traffic=TRAFFIC, logging=LOGGING)
@bentoml.asgi_app(rest)
class EditService:
    """REST in front, two runners behind."""

    classifier = bentoml.depends(ClassifierRunner)
    generator = bentoml.depends(GeneratorRunner)

    @bentoml.on_startup
    async def start(self) -> None:
        """Build the engine once both runners are known."""
        config = settings()
        rest.state.engine = Engine(
            [ServedCard(model.tag, model.card) for model in models_to_serve(config.models)],
            self.classifier.to_async,
            self.generator.to_async,
            config.max_in_flight,
            config.timeout_s,
        )
        settle_garbage_collector()
