"""A scored run for people and papers: the page, its pictures and charts, LaTeX and CSV."""
