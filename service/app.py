"""The API service: BentoML around the REST application. Entry point of serve and build."""

import uuid

import bentoml

from model_store import method_offers, models_to_serve
from service.admission import Gate
from service.cache import AnswerCache
from service.draining import Drain, on_sigterm
from service.engine import Engine, Runner
from service.handlers import Handlers
from service.idempotency import Idempotency
from service.job_store import open_job_store
from service.jobs import Jobs
from service.processes import DEFAULT_BATCH_SIZE, settle_garbage_collector
from service.rest import build_rest
from service.rpc import start_rpc
from service.runner_sockets import RunnerSockets
from service.runners import LOGGING, TRAFFIC, ClassifierRunner, GeneratorRunner
from service.settings import Settings, settings
from service.specs import ServedCard

rest = build_rest(settings())


def build_handlers(config: Settings, classifier: Runner, generator: Runner) -> Handlers:
    """Everything that transports call, on two runners."""
    served = [
        ServedCard(model.tag, model.card, method_offers(model))
        for model in models_to_serve(config.models)
    ]
    engine = Engine(served, classifier, generator, Gate(config.max_in_flight), config.timeout_s)
    return Handlers(
        engine,
        AnswerCache(config.cache_bytes),
        Idempotency(config.idempotency_bytes, config.idempotency_ttl_s),
        config.max_batch_size or DEFAULT_BATCH_SIZE,
    )


@bentoml.service(name="edit_service", workers=1, traffic=TRAFFIC, logging=LOGGING)
@bentoml.asgi_app(rest)
class EditService:
    """REST and gRPC in front, two runners behind."""

    classifier = bentoml.depends(ClassifierRunner)
    generator = bentoml.depends(GeneratorRunner)

    @bentoml.on_startup
    async def start(self) -> None:
        """Build the handlers once both runners are known, and start what works beside REST."""
        config = settings()
        runners = self.classifier.to_async, self.generator.to_async
        handlers = build_handlers(config, *runners)
        jobs = Jobs(handlers, open_job_store(config.job_store), config)
        rest.state.handlers, rest.state.jobs = handlers, jobs
        jobs.start()
        sockets = RunnerSockets(runner.url for runner in runners)
        drain = Drain(handlers.engine, sockets, config.drain_s, uuid.uuid4().hex)
        drain.before_end(jobs.stop)
        if config.grpc_port:
            drain.stop_with(await start_rpc(handlers, config))
        on_sigterm(drain.run)
        settle_garbage_collector()

    async def __is_ready__(self) -> bool:
        """Whether new requests are wanted: not while the service stops."""
        return not rest.state.handlers.engine.gate.is_closed
