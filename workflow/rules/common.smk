# The config, checked; the names that follow from it; the package, for this process and for every script that it starts.

import os
import re
import sys

import yaml
from snakemake.exceptions import WorkflowError

# The folder of this file, also where another workflow uses this one as a module.
root = os.path.dirname(os.path.dirname(workflow.current_basedir.get_path_or_uri(secret_free=True)))
library = os.path.join(root, "workflow", "lib")
sys.path.insert(0, library)
os.environ.update(PYTHONPATH=library)

from lambdascape.claims.check import find
from lambdascape.claims.check import problems as problems_of_claims
from lambdascape.core.errors import InputError
from lambdascape.study.validation import LOADER, check
from lambdascape.jobs.fingerprint import fingerprint, task
from lambdascape.jobs.provenance import contents
from lambdascape.study.paths import Study
from lambdascape.study.plugins import extensions_of

try:
    checked = check(config, workflow.configfiles, extensions_of(config))
except InputError as error:
    raise WorkflowError(str(error))
config.clear()
config.update(checked.model_dump())  # in the order of the model, defaults filled in

checkout = os.path.relpath(root)
claims = find(config["claims"], [".", checkout])
with open(workflow.source_path("../schemas/claims.schema.yaml"), encoding="utf-8") as stream:
    found = problems_of_claims(claims, yaml.load(stream, LOADER), checked)
if found:
    raise WorkflowError("The claims cannot be judged:\n  " + "\n  ".join(found))
overlays = [os.path.relpath(file, root) for file in workflow.overwrite_configfiles]
study = Study(checked, checkout, overlays)
found = study.problems()
if found:
    raise WorkflowError("The config cannot be used:\n  " + "\n  ".join(found))
report_folder = os.path.relpath(os.path.join(root, "workflow", "report"))


wildcard_constraints:
    study=re.escape(study.name),
    dataset=re.escape(study.dataset),
    archive=study.archive_pattern,
    recipe=re.escape(study.recipe),
    run=study.run_pattern,
    untrained=study.untrained_pattern,
    own=study.own_pattern,
    space=study.space_pattern,
    figure=study.figure_pattern,
    shard=r"\d+",
