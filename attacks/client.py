"""How the attacks talk to the service."""

import os

import httpx

TIMEOUT_S = 30.0


def open_client(url: str) -> httpx.Client:
    """A client with the key of the environment, where there is one."""
    key = os.environ.get("GRADCTRL_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S)


def refusal(answer: httpx.Response) -> str:
    """The error code of an answer, or what else it was."""
    try:
        return str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}: {answer.text[:100]}"


def first_edit(client: httpx.Client, **change: object) -> dict[str, object]:
    """An edit of the first model's first attribute, changed."""
    attribute = client.get("/v1/models").raise_for_status().json()["models"][0]["attributes"][0]
    return {"attribute": attribute["name"], "target": attribute["classes"][-1], **change}
