"""Nothing here is for pytest to collect: importing locust patches the whole process. `test_load.py` runs it outside."""

collect_ignore_glob = ["*_test.py"]
