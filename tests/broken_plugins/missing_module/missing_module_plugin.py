"""Needs a module that is not there."""

import a_module_nobody_has

a_module_nobody_has.start()
