"""The Python client, blocking: an edit, the next edit from its latent, a stream, a job, a refusal.

    python clients/examples/quickstart.py [URL] [FOLDER]

The URL may be http:// or grpc://; jobs need http://.
"""

import sys
from pathlib import Path

from gradctrl_client import Client, Edit, Job, UnknownClassError, UnsupportedError


def main(url: str, folder: Path) -> None:
    """Save what the service answers."""
    folder.mkdir(parents=True, exist_ok=True)
    with Client(url, timeout_s=30) as client:
        edit = client.edit("smile", "smiling", seed=27)
        edit.frames[-1].image.save(folder / "smiling.png")
        print(f"smile: {edit.frames[0].scores['smile']} -> {edit.frames[-1].scores['smile']}")

        further = client.edit("smile", "not_smiling", latent=edit.latent, stop={"probability": 0.9})
        print(f"and back in {further.edits[0].steps_taken} steps: {further.edits[0].reached}")

        with client.edit_stream("smile", "smiling", seed=27) as stream:
            for frame in stream:
                frame.image.save(folder / f"step-{frame.step:02}.png")
                print(f"step {frame.step}: {frame.scores['smile']['smiling']:.2f}")

        try:
            client.edit("smile", "grinning", seed=27)
        except UnknownClassError as error:
            print(f"{error.field} may be {' or '.join(error.allowed or [])}")

        by_job(client)


def by_job(client: Client) -> None:
    """The same edit as a job."""
    try:
        job = client.submit_edit("smile", "smiling", seed=27)
    except UnsupportedError as error:
        print(error.message)
        return
    edit = client.wait(job, on_progress=show)
    assert isinstance(edit, Edit)
    print(f"job {job.job_id}: {len(edit.frames)} frames")


def show(job: Job) -> None:
    """Print how far a job is."""
    print(f"{job.state}: {job.progress:.0%}")


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    main(arguments.get(1, "http://127.0.0.1:3000"), Path(arguments.get(2, "quickstart")))
