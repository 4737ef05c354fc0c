# The workflow lies in workflow/, where other workflows and the Workflow Catalog look for it.


include: "workflow/Snakefile"


# An included file does not set the default target.
workflow.default_target = "all"
