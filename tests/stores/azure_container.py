"""Makes a container at an Azure account, with a request that is signed with the account's key.

    azure_container.py ENDPOINT CONTAINER    with the account in the path of the endpoint, the key in AZURE_KEY
"""

import base64
import hashlib
import hmac
import os
import sys
from email.utils import formatdate
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

endpoint, container = sys.argv[1:]
account, version = urlsplit(endpoint).path.strip("/"), "2023-11-03"
headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": version}
signed = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
# The account stands twice: its name, and the beginning of the path.
resource = f"/{account}/{account}/{container}\nrestype:container"
text = "PUT" + "\n" * 12 + signed + resource
key = base64.b64decode(os.environ["AZURE_KEY"])
signature = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
headers["Authorization"] = f"SharedKey {account}:{signature}"
with urlopen(Request(f"{endpoint}/{container}?restype=container", method="PUT", headers=headers)) as answer:
    print(answer.status)
