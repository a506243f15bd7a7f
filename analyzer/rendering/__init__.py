"""Reports as people and programs read them. Pure: a report in, text out.

text      for a terminal and CI logs
document  Markdown
junit     JUnit XML
github    annotations of GitHub Actions
html      one page that needs nothing else
"""
