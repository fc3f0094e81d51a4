"""Slips that are legal: what always or never fires, a name that is nobody's, a pattern that matches nothing; in files, with places."""

import pytest

from burster.policy.compile import compile_documents
from burster.policy.lint import lint
from burster.policy.lint.base import Known
from burster.policy.load import load_text
from tests.policy.compiled import AT_MS, a_target


def told(
    more="", *, workload="{ownerRef: {kind: Deployment, name: web}}", targets="[east, west]", strategy="Clone", known=()
):
    """What the lint says of a policy that nothing else is wrong with: line, column, field, sentence, rule."""
    text = (
        "apiVersion: burster.dev/v1alpha1\nkind: BurstPolicy\nmetadata: {name: web, namespace: bank}\nspec:\n"
        f"  workload: {workload}\n  placement: {{strategy: {strategy}, targets: {targets}}}\n"
        f'  limits: {{maxBursts: 4, budget: {{perDay: "20"}}}}\n{more}'
    )
    documents = load_text(text, "web.yaml")
    around = Known(at_ms=AT_MS, targets={name: a_target(name) for name in known})
    return [
        (found.line, found.column, found.path, found.message, found.rule)
        for found in lint(documents, compile_documents(documents), around, {"web.yaml": text})
    ]


def trigger(kind, **metadata):
    lines = [f"      {name}: {value}\n" for name, value in metadata.items()]
    return f"  triggers:\n  - type: {kind}\n    metadata:\n" + "".join(lines)


def asked(query, **metadata):
    whole = {"serverAddress": "https://p:9090", "query": f"'{query}'", "threshold": '"10"', **metadata}
    return told(trigger("prometheus", **whole))


def test_a_careful_policy_is_told_nothing():
    assert told() == told(known=("east", "west")) == asked('sum(queue_length{app="web"})') == []


# --- always, never ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "metadata", "said"),
    [
        ("vector(25)", {}, "always 25: it asks for replicas without any demand, and never stops"),
        ("25", {}, "always 25: it asks for replicas without any demand, and never stops"),
        ("vector(1)", {"activationThreshold": '"1"'}, "always 1, and it is active only above 1: it never fires"),
        ("vector(0)", {}, "always 0, and it is active only above 0: it never fires"),
        ("max(vector(1) + 2)", {}, "the same whatever happens: it always fires, or it never does"),
        ("1 > bool 0", {}, "the same whatever happens: it always fires, or it never does"),
    ],
)
def test_a_query_that_reads_nothing(query, metadata, said):
    message = f"the query of trigger prometheus reads no metric, so its value is {said}"
    assert asked(query, **metadata) == [(12, 14, "spec.triggers[0].metadata.query", message, "always-active")]


@pytest.mark.parametrize(
    "query", ["up", "time() % 7", "hour() > bool 8", "vector(1) * up", '{job="web"}', "count(up) or vector(0)"]
)
def test_a_query_that_reads_something(query):
    assert asked(query) == []


ENDS_WHERE_IT_BEGINS = {"timezone": "UTC", "start": "0 8 * * 1-5", "end": "0 8 * * *"}


def test_a_cron_trigger_that_is_always_active():
    assert told(trigger("cron", **ENDS_WHERE_IT_BEGINS, desiredReplicas=1)) == [
        (
            12,
            14,
            "spec.triggers[0].metadata.start",
            "trigger cron is always active: whenever it starts it has just ended, and by KEDA's rule that is no end",
            "cron-without-effect",
        )
    ]


def test_a_window_that_is_always_open_and_a_blackout_that_never_ends():
    times = "{timezone: UTC, start: 0 8 * * 1-5, end: 0 8 * * *}"
    assert told(f"  windows:\n  - {times}\n") == [
        (
            9,
            5,
            "spec.windows[0]",
            "this window is open now and always will be: the policy is always in force",
            "window-without-effect",
        )
    ]
    assert told(f"  blackouts:\n  - {times}\n") == [
        (9, 5, "spec.blackouts[0]", "this blackout never ends: the policy never starts anything", "never-open")
    ]
    assert told("  windows:\n  - {timezone: UTC, firstDay: 2026-01-01}\n  - {timezone: UTC, days: [Sat]}\n") == [
        (
            9,
            5,
            "spec.windows[0]",
            "this window is open now and always will be: the policy is always in force",
            "window-without-effect",
        )
    ]
    assert told("  windows:\n  - {timezone: UTC, days: [Sat]}\n") == []
    assert told("  windows:\n  - {timezone: UTC, firstDay: 2027-02-01}\n") == []


# --- names that are nobody's ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "meant"),
    [("Deploymnet", "Deployment"), ("Deployments", "Deployment"), ("Statefulset", "StatefulSet"), ("Jobs", "Job")],
)
def test_a_misspelt_kind(kind, meant):
    message = f"no kind is known that is called {kind}; did you mean {meant}?"
    assert told(workload=f"{{kind: {kind}}}") == [(5, 20, "spec.workload.kind", message, "unknown-kind")]
    assert told(workload=f"{{ownerRef: {{kind: {kind}, name: web}}}}") == [
        (5, 31, "spec.workload.ownerRef.kind", message, "unknown-kind")
    ]


def test_a_misspelt_kind_of_what_is_scaled_or_measured():
    found = told(
        "  scaleTargetRef: {kind: Deploymnet, name: cloud}\n"
        + trigger("memory", value='"80"')
        + "    sourceRef: {kind: Statefullset, name: db}\n",
        strategy="Scale",
    )
    assert [(path, rule) for _, _, path, _, rule in found] == [
        ("spec.scaleTargetRef.kind", "unknown-kind"),
        ("spec.triggers[0].sourceRef.kind", "unknown-kind"),
    ]


def test_the_pods_of_a_cron_job_are_its_jobs():
    assert told(workload="{kind: CronJob, namePattern: nightly-.*}", strategy="Auto") == [
        (
            5,
            20,
            "spec.workload.kind",
            "a CronJob owns Jobs and no pods: no pod is ever of kind CronJob",
            "unknown-kind",
        )
    ]


@pytest.mark.parametrize(
    "kind", ["Deployment", "ReplicaSet", "Rollout", "SparkApplication", "JobSet", "CloneSet", "Service"]
)
def test_kinds_that_may_well_be_somebodys(kind):
    assert told(workload=f"{{kind: {kind}}}") == []


def test_a_target_that_is_in_none_of_the_files():
    message = "target eats is in none of these files; did you mean east?"
    assert told(targets="[eats, west]", known=("east", "west")) == [
        (6, 42, "spec.placement.targets[0]", message, "unknown-target")
    ]
    (found,) = told(targets="[east, far]", known=("east", "west"))
    assert found[3:] == ("target far is in none of these files", "unknown-target")


def test_a_target_that_is_named_already_is_not_proposed_for_another():
    (found,) = told(targets="[east-1, east-2]", known=("east-2",))
    assert found[3:] == ("target east-1 is in none of these files", "unknown-target")


def test_targets_that_are_all_elsewhere_are_not_judged():
    assert told(targets="[far, farther]") == []


# --- patterns and lists that match nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "meant"), [("web-*", "web-.*"), ("web*", "web.*"), ("a-*-b*", "a-.*-b.*")])
def test_a_glob_where_a_regular_expression_is_wanted(pattern, meant):
    for field in ("namePattern", "podNamePattern"):
        ((_, _, path, message, rule),) = told(workload=f"{{{field}: {pattern}}}")
        assert (path, rule) == (f"spec.workload.{field}", "glob-pattern")
        assert message.endswith(f"did you mean {meant}?")


def test_a_glob_says_what_it_is_as_a_regular_expression():
    ((line, column, _, message, _),) = told(workload="{namePattern: web-*}")
    assert (line, column) == (5, 27)
    assert (
        message
        == "web-* is a regular expression here, in which * repeats the character before it; did you mean web-.*?"
    )


@pytest.mark.parametrize("pattern", ["web-.*", "[a-z0-9]*", "[a*]", r"web\.[a-z]*", "(web)?", "web-[0-9]+", "web.*"])
def test_regular_expressions_are_no_globs(pattern):
    assert told(workload=f"{{namePattern: '{pattern}'}}") == []


def test_a_glob_in_a_query():
    (found,) = asked('sum(queue_length{pod=~"web-*"})')
    assert found[2:] == (
        "spec.triggers[0].metadata.query",
        "web-* is a regular expression here, in which * repeats the character before it; did you mean web-.*?",
        "glob-pattern",
    )
    assert asked('sum(queue_length{pod="web-*", app=~"web-.*"})') == []


@pytest.mark.parametrize("pattern", ["Web-.*", "web_api-[0-9]+", "(Web|API)-.*", "-web.*"])
def test_a_pattern_that_no_name_can_match(pattern):
    ((_, _, path, message, rule),) = told(workload=f"{{namePattern: '{pattern}'}}")
    assert (path, rule) == ("spec.workload.namePattern", "selects-nothing")
    assert (
        message
        == f"no name matches {pattern}: names are lower-case letters, digits, '-' and '.', alphanumeric at both ends"
    )


@pytest.mark.parametrize("pattern", ["web-.*", "(Web|web)-.*", "[A-Za-z]+", "w", "web.api"])
def test_a_pattern_that_some_name_can_match(pattern):
    assert told(workload=f"{{namePattern: '{pattern}'}}") == []


def test_labels_that_exclude_each_other():
    both = "{selector: {matchLabels: {tier: web}, matchExpressions: [{key: tier, operator: NotIn, values: [web]}]}}"
    ((_, _, path, message, rule),) = told(workload=both)
    assert (path, rule) == ("spec.workload", "selects-nothing")
    assert message == "no pod has labels that satisfy all of this: the policy is about nothing"
    assert told(workload=both.replace("[web]", "[db]")) == []


@pytest.mark.parametrize("entry", ["my_registry.example/fraud", "a..b/c"])
def test_an_allowed_image_that_no_image_is(entry):
    found = told(f"  confidential:\n    images:\n      allowed:\n      - {entry}\n      - registry.bank.example/ok\n")
    assert [(line, column, path, rule) for line, column, path, _, rule in found] == [
        (11, 9, "spec.confidential.images.allowed[0]", "unlikely-image")
    ]


def test_an_allowed_word_is_one_image_of_docker_hub_and_no_registry():
    ((_, _, path, message, rule),) = told("  confidential: {images: {allowed: [bank]}}\n")
    assert (path, rule) == ("spec.confidential.images.allowed[0]", "unlikely-image")
    assert (
        message
        == "'bank' is the one image docker.io/library/bank, and no registry: a registry's name has a dot or a port"
    )


@pytest.mark.parametrize(
    "entry", ["registry.bank.example", "localhost:5000", "docker.io", "bank/fraud", "registry:5000/fraud/"]
)
def test_allowed_images_that_there_may_be(entry):
    assert told(f"  confidential: {{images: {{allowed: ['{entry}']}}}}\n") == []
