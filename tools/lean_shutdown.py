"""A start-up file for LEAN's Python that leaves out what goes wrong, and what takes long, when LEAN ends.

LEAN closes its Python with a lock still held by an object that nobody disposes of; the runtime then aborts the process
after all results are written.  And the bridge between .NET and Python collects garbage for seconds before it exits.
A process that ends anyway needs neither.  The file is written into a temporary folder for the time of one run; nothing
of LEAN is changed on disk.
"""

from __future__ import annotations

from pathlib import Path

# Python imports a module of this name at start-up, before anything of LEAN.
FILE = "sitecustomize.py"

_TEXT = '''\
import sys


class AtAlgorithmImport:
    """Acts once, on the first import outside the standard library: then the engine is up and the algorithm comes."""

    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in sys.stdlib_module_names or root in ("clr", "System", "QuantConnect", "Python"):
            return None
        if "clr" not in sys.modules:
            return None
        sys.meta_path.remove(self)
        leave_out_the_shutdown()
        return None


def leave_out_the_shutdown():
    import clr

    for assembly in ("System", "Python.Runtime", "QuantConnect.Common"):
        clr.AddReference(assembly)
    from Python.Runtime import PythonEngine
    from QuantConnect.Python import PythonInitializer
    from System import AppDomain, Delegate, EventHandler
    from System.Reflection import BindingFlags

    private = BindingFlags.Static | BindingFlags.NonPublic
    initialized = clr.GetClrType(PythonInitializer).GetField("_isInitialized", private)
    on_exit = clr.GetClrType(PythonEngine).GetMethod("OnProcessExit", private)
    if initialized is not None:
        initialized.SetValue(None, False)
    if on_exit is not None:
        handler = Delegate.CreateDelegate(clr.GetClrType(EventHandler), on_exit)
        clr.GetClrType(AppDomain).GetEvent("ProcessExit").RemoveEventHandler(AppDomain.CurrentDomain, handler)


sys.meta_path.insert(0, AtAlgorithmImport())
'''


def write_start_up_file(folder: Path) -> None:
    (folder / FILE).write_text(_TEXT, encoding="utf-8")
