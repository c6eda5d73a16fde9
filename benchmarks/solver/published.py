"""The published solver without its optional compiled extension; on a GPU it uses CUDA graphs.

Its folder must be on the path. Measuring processes import this module by name (`workbench.scaling.Case.backend`).
"""

import smnn

smnn.mnn = None
ode_forward = smnn.ode_forward
