"""What can be taken away: strips of neighbours as pictures, and report pages."""
