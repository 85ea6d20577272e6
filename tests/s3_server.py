"""A server that speaks the language of S3, on loopback: as a command it prints its port and serves until killed."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from uuid import uuid4

#: What a client has to say, and nobody else is to hear.
KEY, SECRET = "key-of-the-user", "s3cr3t-of-the-user"


class Bucket:
    """A bucket of its own on the server, as the catalog is told of it and as a test looks at it."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.name = f"bucket-{uuid4().hex}"
        self.url = f"s3://{self.name}/values"
        self.storage = {"key": KEY, "secret": SECRET, "endpoint_url": endpoint}
        import boto3

        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )
        self._client.create_bucket(Bucket=self.name)

    def options(self, **more):
        return {"url": self.url, "storage": self.storage, **more}

    def objects(self):
        """List what is in the bucket, without the folder that all is in."""
        found = self._client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return sorted(each["Key"].removeprefix("values/") for each in found)

    def read(self, key):
        return self._client.get_object(Bucket=self.name, Key=f"values/{key}")["Body"].read()

    def close(self):
        self._client.close()


@contextmanager
def serving():
    """Start the server on a free port; gives its URL."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main():
    import logging

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
