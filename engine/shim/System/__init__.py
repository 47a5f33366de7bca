"""What an algorithm takes from .NET itself; a package of its own, so that type stubs of that name stay out."""
