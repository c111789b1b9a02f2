import pytest

from skinclinic.embedded import ports
from skinclinic.embedded.problems import EmbeddedProblem


def test_a_taken_port_gives_the_next_one() -> None:
    with ports.first_free(24_000) as first:
        first.listen()
        wanted = first.getsockname()[1]
        with ports.first_free(wanted) as second:
            assert second.getsockname()[1] > wanted


def test_a_port_that_was_asked_for_is_not_replaced() -> None:
    with ports.first_free(24_100) as first:
        first.listen()
        wanted = first.getsockname()[1]
        with pytest.raises(EmbeddedProblem, match=f"Port {wanted} is taken by another program"):
            ports.exactly(wanted)


def test_no_free_port_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "bound_socket", lambda _: None)
    with pytest.raises(EmbeddedProblem, match="No port from 8000 to 8049 is free"):
        ports.first_free(8000)
