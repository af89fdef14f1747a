"""gradctrl_client.events: server-sent events as the standard has them."""

from gradctrl_client.events import Event, EventReader


def read(text: str) -> list[Event]:
    reader = EventReader()
    events = [reader.feed(line) for line in text.splitlines()]
    return [event for event in events if event is not None]


def test_names_and_data() -> None:
    text = 'event: frame\ndata: {"step": 1}\n\nevent: summary\ndata: {}\n\n'
    assert read(text) == [("frame", {"step": 1}), ("summary", {})]


def test_data_on_several_lines_comments_and_the_default_name() -> None:
    assert read(': ping\n\ndata:{"a":\ndata: 1}\nid: 4\n\n') == [("message", {"a": 1})]


def test_an_event_without_its_empty_line_is_none() -> None:
    assert read('event: frame\ndata: {"step": 1}') == []
