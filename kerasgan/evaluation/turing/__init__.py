"""The Visual Turing Test: people judge images one by one, real or synthetic (Salimans 2016; Han 2018, 3.3).

`trial` is the test on disk, `answers` what raters said, `server` the web pages they say it on, `summary` the numbers.
"""
