"""The published solver, plain: without its optional compiled extension; on a GPU it uses its CUDA graphs. Its folder
must be on the path.

A module of its own, so that the processes that measure find it by name (`workbench.scaling.Case.backend`).
"""

import smnn

smnn.mnn = None
ode_forward = smnn.ode_forward
