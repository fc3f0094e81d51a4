import pytest

from burster.policy.images import Image, has_digest, image_allowed, read_image, read_prefix


SHA = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("reference", "want"),
    [
        ("nginx", Image("docker.io", ("library", "nginx"))),
        ("nginx:1.25", Image("docker.io", ("library", "nginx"), "1.25")),
        ("docker.io/nginx", Image("docker.io", ("library", "nginx"))),
        ("index.docker.io/team/app", Image("docker.io", ("team", "app"))),
        ("team/app", Image("docker.io", ("team", "app"))),
        ("registry.example.com/app", Image("registry.example.com", ("app",))),
        ("registry.example.com/a/b/c:v1", Image("registry.example.com", ("a", "b", "c"), "v1")),
        ("registry.example.com:5000/app", Image("registry.example.com:5000", ("app",))),
        ("localhost/app", Image("localhost", ("app",))),
        ("registry:5000/app", Image("registry:5000", ("app",))),
        (f"registry.example.com/app@{SHA}", Image("registry.example.com", ("app",), "", SHA)),
        (f"registry.example.com/app:v1@{SHA}", Image("registry.example.com", ("app",), "v1", SHA)),
        ("my-team/a.b_c__d---e", Image("docker.io", ("my-team", "a.b_c__d---e"))),
        # nothing that a runtime would take
        ("", None),
        ("Nginx", None),
        ("registry.example.com/App", None),
        ("Registry.Example.com/app", None),
        ("registry.example.com./app", None),
        ("registry.example.com//app", None),
        ("registry.example.com/app/", None),
        ("registry.example.com/../app", None),
        ("registry.example.com/app:", None),
        ("registry.example.com/app:v 1", None),
        ("registry.example.com/app:" + "v" * 129, None),
        ("registry.example.com/app@", None),
        ("registry.example.com/app@sha256:abc", None),
        ("registry.example.com/app@md5:" + "0" * 32, None),
        ("registry.example.com@evil.example/app", None),
        ("https://registry.example.com/app", None),
        ("registry.example.com:port/app", None),
        ("registry.example.com/a\u0440p", None),
        (" nginx", None),
        ("nginx\n", None),
        ("a__", None),
        ("-a", None),
    ],
)
def test_a_reference_is_taken_apart_as_runtimes_do(reference: str, want: Image | None):
    assert read_image(reference) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("registry.example.com", Image("registry.example.com", ())),
        ("registry.example.com/", Image("registry.example.com", ())),
        ("registry.example.com:5000", Image("registry.example.com:5000", ())),
        ("localhost", Image("localhost", ())),
        ("localhost:5000", Image("localhost:5000", ())),
        ("docker.io", Image("docker.io", ())),
        ("nginx", Image("docker.io", ("library", "nginx"))),
        ("nginx:5000", Image("docker.io", ("library", "nginx"), "5000")),
        ("registry.example.com/team/", Image("registry.example.com", ("team",))),
        ("Registry.example.com", None),
        ("", None),
        ("*", None),
    ],
)
def test_an_entry_of_the_list_is_a_registry_or_the_beginning_of_a_path(text: str, want: Image | None):
    assert read_prefix(text) == want


@pytest.mark.parametrize(
    ("image", "allowed", "want"),
    [
        ("registry.example.com/team/app:v1", ("registry.example.com",), True),
        ("registry.example.com/team/app:v1", ("registry.example.com/team",), True),
        ("registry.example.com/team/app:v1", ("registry.example.com/team/app",), True),
        ("registry.example.com/team/app:v1", ("registry.example.com/team/app:v1",), True),
        ("registry.example.com/team/app:v2", ("registry.example.com/team/app:v1",), False),
        ("registry.example.com/team/app", ("registry.example.com/team/app:v1",), False),
        ("registry.example.com/team/app/x:v1", ("registry.example.com/team/app:v1",), False),
        ("registry.example.com/team-evil/app", ("registry.example.com/team",), False),
        ("registry.example.com/te", ("registry.example.com/team",), False),
        ("registry.example.evil.com/team/app", ("registry.example.com",), False),
        ("registry.example.com.evil.com/team/app", ("registry.example.com",), False),
        ("evil.com/registry.example.com/team/app", ("registry.example.com",), False),
        ("registry.example.com:5000/team/app", ("registry.example.com",), False),
        ("REGISTRY.example.com/team/app", ("registry.example.com",), False),
        ("registry.example.com/team/app", ("other.example.com", "registry.example.com"), True),
        ("registry.example.com/team/app", (), False),
        ("registry.example.com/team/app", ("", "*", "registry"), False),
        ("nginx", ("docker.io",), True),
        ("nginx", ("docker.io/library/nginx",), True),
        ("nginx-evil", ("nginx",), False),
        ("team/nginx", ("nginx",), False),
        (f"registry.example.com/app@{SHA}", (f"registry.example.com/app@{SHA}",), True),
        (f"registry.example.com/app@{SHA[:-1]}0", (f"registry.example.com/app@{SHA}",), False),
        ("registry.example.com/app:v1", (f"registry.example.com/app@{SHA}",), False),
        (f"registry.example.com/app/sub@{SHA}", (f"registry.example.com/app@{SHA}",), False),
    ],
)
def test_an_image_is_allowed_by_whole_parts_of_its_path(image: str, allowed: tuple[str, ...], want: bool):
    assert image_allowed(image, allowed) is want


@pytest.mark.parametrize(
    ("image", "want"),
    [
        (f"app@{SHA}", True),
        (f"app:v1@{SHA}", True),
        ("app:v1", False),
        ("app", False),
        (f"App@{SHA}", False),
        ("app@sha256:1", False),
    ],
)
def test_a_digest_names_one_image_for_ever(image: str, want: bool):
    assert has_digest(image) is want
