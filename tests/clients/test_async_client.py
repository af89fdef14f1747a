"""The client for event loops against the real service."""

import asyncio

import numpy as np
import pytest
from gradctrl_client import AsyncClient, ServiceUnreachableError, UnknownAttributeError

from tests.servers import free_port


def test_edits_at_once(service_url: str) -> None:
    async def run() -> None:
        async with AsyncClient(service_url) as client:
            assert await client.is_ready()
            edits = await asyncio.gather(
                *(client.edit("smile", "smiling", seed=seed, steps=2) for seed in range(8))
            )
            alone = [await client.edit("smile", "smiling", seed=s, steps=2) for s in range(8)]
        for left, right in zip(edits, alone, strict=True):
            assert [f.encoded for f in left.frames] == [f.encoded for f in right.frames]
            np.testing.assert_array_equal(left.latent, right.latent)

    asyncio.run(run())


def test_every_endpoint(service_url: str) -> None:
    async def run() -> None:
        async with AsyncClient(service_url) as client:
            assert (await client.models())[0]["name"] == "tiny"
            generated = await client.generate([1, 2])
            assert len(await client.score(generated.latents)) == 2
            body = {"source": {"seed": 1}, "edits": [{"attribute": "age", "target": "old"}]}
            assert (await client.edit_image(body))[:4] == b"\x89PNG"
            latent = generated.latents[0]
            found = await client.directions(latent=latent, attribute="age", target="old")
            assert np.linalg.norm(found["direction"]) == pytest.approx(1, abs=1e-5)
            job = await client.submit("generate", {"seeds": [5]})
            result = await client.wait(await client.job(job.job_id))
            assert result.latents[0].shape == (16,)  # type: ignore[union-attr]
            job = await client.submit_edit("age", "old", seed=5)
            assert (await client.wait(job)).space == "z"  # type: ignore[union-attr]

    asyncio.run(run())


def test_a_stream_ends_with_its_summary(service_url: str) -> None:
    async def run() -> None:
        async with AsyncClient(service_url) as client:
            whole = await client.edit("smile", "smiling", seed=7)
            async with await client.edit_stream("smile", "smiling", seed=7) as stream:
                frames = [frame.encoded async for frame in stream]
            assert frames == [frame.encoded for frame in whole.frames]
            assert stream.summary is not None
            np.testing.assert_array_equal(stream.summary.latent, whole.latent)
            collected = await (await client.edit_stream("age", "old", seed=7)).collect()
            assert collected.edits[0].attribute == "age"

    asyncio.run(run())


def test_refusals_and_silence_are_typed(service_url: str) -> None:
    async def run() -> None:
        async with AsyncClient(service_url) as client:
            with pytest.raises(UnknownAttributeError) as caught:
                await client.edit("beard", "long", seed=7)
            assert caught.value.allowed == ["smile", "age", "hair"]
            with pytest.raises(UnknownAttributeError):
                await client.edit_stream("beard", "long", seed=7)
        async with AsyncClient(f"http://127.0.0.1:{free_port()}", retries=1) as client:
            assert not await client.is_ready()
            with pytest.raises(ServiceUnreachableError):
                await client.models()

    asyncio.run(run())
