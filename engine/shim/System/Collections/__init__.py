"""See `System.Collections.Generic`."""
