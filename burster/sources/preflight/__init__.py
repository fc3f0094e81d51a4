"""Everything that must be right before a VM is asked for: cluster, cloud-api-adaptor, cloud, Trustee, network.

``examine`` looks at one target, ``examine_cluster`` at what all targets share; both read only, and answer with findings: one for each check
of ``catalogue``, with a verdict, a sentence and, where something is wrong, its cure. Called by the standing preflight
(``burster.runtime.preflight_poller``) and by `burster doctor`. What can't be read is a finding as well, never an exception.
"""

from burster.sources.preflight.asked_by import known_of as known_of
from burster.sources.preflight.catalogue import BY_CODE as BY_CODE
from burster.sources.preflight.catalogue import CHECKS as CHECKS
from burster.sources.preflight.examine import StandingChecks as StandingChecks
from burster.sources.preflight.examine import examine as examine
from burster.sources.preflight.examine import examine_cluster as examine_cluster
from burster.sources.preflight.findings import Check as Check
from burster.sources.preflight.findings import Finding as Finding
from burster.sources.preflight.findings import Findings as Findings
from burster.sources.preflight.findings import Verdict as Verdict
from burster.sources.preflight.world import Known as Known
from burster.sources.preflight.world import Places as Places
from burster.sources.preflight.world import World as World
