import pytest

from lib.web.access import exposure

START = ["/opt/bin/monailabel", "start_server", "--app", "apps/sequal", "--studies", "x"]


@pytest.mark.parametrize(
    "host", [["--host", "127.0.0.1"], ["-i", "localhost"], ["--host=::1"], ["-i127.0.0.1"], ["--hos", "127.0.0.2"]]
)
def test_this_computer_alone_needs_no_warning(host):
    assert exposure([*START, *host], authenticated=False) == ""


@pytest.mark.parametrize("host", [[], ["--host", "0.0.0.0"], ["-i", "::"], ["--host=192.168.1.5"], ["-i", "labels"]])
def test_a_server_in_the_network_without_a_password_is_named_as_a_risk(host):
    warning = exposure([*START, *host], authenticated=False)

    assert "asks nobody for a password" in warning
    assert "replace every label" in warning
    assert "docs/deployment.md" in warning


def test_another_command_is_no_risk_that_is_known():
    assert exposure(["uvicorn", "monailabel.app:app", "--host", "0.0.0.0"], authenticated=False) == ""


def test_a_login_without_encryption_is_a_risk_of_its_own():
    assert "without TLS" in exposure(START, authenticated=True)
    assert exposure([*START, "--ssl_certfile", "cert.pem"], authenticated=True) == ""
    assert "asks nobody for a password" in exposure([*START, "--ssl_certfile", "cert.pem"], authenticated=False)
