"""The API service: BentoML around the REST application. Entry point of serve and build."""

import gc

gc.disable()  # what imports make stays: looking through it again and again took .5 s of 2 s

import asyncio
import uuid

import bentoml

from service import metrics
from service.access import Access
from service.admission import Gate
from service.budget import Budget
from service.cache import AnswerCache
from service.catalogue import Catalogue, stored_cards
from service.draining import Drain, on_sigterm
from service.engine import Engine, Runner
from service.errors import STATUS
from service.exposure import expect_guarded
from service.handlers import Handlers
from service.idempotency import Idempotency
from service.inverting import Inverting
from service.job_store import open_job_store
from service.jobs import Jobs
from service.logs import configure_logging
from service.pins import models_of
from service.processes import DEFAULT_BATCH_SIZE, settle_garbage_collector
from service.reloading import Reloading
from service.rest import build_rest
from service.rpc import start_rpc
from service.runner_clients import connect_to
from service.runner_pool import RunnerPool, pool_of
from service.runner_sockets import RunnerSockets
from service.runners import LOGGING, TRACING, ClassifierRunner, GeneratorRunner
from service.sending import end_silent_connections
from service.settings import Settings, settings

gc.freeze()
gc.enable()
configure_logging(settings().log_format)  # here, so that BentoML's parent process has it too
access = Access.of(settings())
rest = build_rest(settings(), access)


def build_handlers(
    config: Settings, catalogue: Catalogue, classifier: Runner, generator: Runner
) -> Handlers:
    """Everything that transports call, on two runners."""
    gate, inverting = (
        Gate(config.max_in_flight),
        Inverting(AnswerCache(config.inversion_cache_bytes)),
    )
    engine = Engine(classifier, generator, gate, config.timeout_s, inverting)
    return Handlers(
        engine,
        catalogue,
        AnswerCache(config.cache_bytes),
        Idempotency(config.idempotency_bytes, config.idempotency_ttl_s),
        config.max_batch_size or DEFAULT_BATCH_SIZE,
        Budget(config.max_frames),
    )


@bentoml.service(
    name="edit_service",
    workers=1,
    traffic={"timeout": 620.0},  # beyond the longest timeout_s, which the engine keeps to
    logging=LOGGING,
    tracing=TRACING,
    metrics={"enabled": False},  # service/http_metrics.py has them with bounded labels
    runner_probe={"enabled": False},  # it hangs for seconds on a runner that is away
)
@bentoml.asgi_app(rest)
class EditService:
    """REST and gRPC in front, two runners behind."""

    classifier = bentoml.depends(ClassifierRunner)
    generator = bentoml.depends(GeneratorRunner)

    @bentoml.on_startup
    async def start(self) -> None:
        """Build the handlers once both runners are known, and start what works beside REST."""
        config = settings()
        metrics.begin_series(STATUS)
        classifier, generator = self._pools()
        await asyncio.gather(classifier.start(), generator.start())
        catalogue = Catalogue(stored_cards(models_of(config)))
        handlers = build_handlers(config, catalogue, classifier, generator)
        jobs = Jobs(handlers, open_job_store(config.job_store), config)
        rest.state.handlers, rest.state.jobs = handlers, jobs
        rest.state.runners = classifier, generator
        rest.state.reloading = Reloading(
            catalogue,
            (classifier, generator),
            config.models if config.reload_models is None else config.reload_models,
            max(config.timeout_s, config.job_timeout_s),
            config.pins_file,
        )
        jobs.start()
        sockets = RunnerSockets([*classifier.urls, *generator.urls])
        drain = Drain(handlers.engine, sockets, config.drain_s, uuid.uuid4().hex)
        drain.before_end(jobs.stop)
        if config.grpc_port:
            expect_guarded(config, config.grpc_host)
            drain.stop_with(await start_rpc(handlers, config, access.expect))
        self._settling = end_silent_connections(config.timeout_s)  # before on_sigterm
        on_sigterm(drain.run)
        settle_garbage_collector()

    async def __is_ready__(self) -> bool:
        """Whether new requests are wanted: not while the service stops, nor without a runner.

        Answers from what the pools know already, so at once.
        """
        is_open = not rest.state.handlers.engine.gate.is_closed
        return is_open and all(pool.is_available for pool in rest.state.runners)

    def _pools(self) -> tuple[RunnerPool, RunnerPool]:
        """Every process behind the address that BentoML has of each runner."""
        return (
            pool_of("classifier", self.classifier.to_async.url, connect_to(ClassifierRunner)),
            pool_of("generator", self.generator.to_async.url, connect_to(GeneratorRunner)),
        )
