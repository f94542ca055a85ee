// A client built with matrix-js-sdk.
"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const sdk = require("matrix-js-sdk");

const { BASE_URL, USER_ID, PASSWORD, PICTURE } = process.env;
const picture = readFileSync(PICTURE);

/// Width and height of a JPEG, from its frame header.
function jpegSize(file) {
    assert.equal(file.readUInt16BE(0), 0xffd8, "the start of a JPEG");
    let at = 2;
    while (![0xc0, 0xc1, 0xc2].includes(file[at + 1])) at += 2 + file.readUInt16BE(at + 2);
    return [file.readUInt16BE(at + 7), file.readUInt16BE(at + 5)];
}

/// The library gives the URL; to fetch it with the token is the client's work.
async function fetchAuthenticated(client, url) {
    assert.match(url, /\/_matrix\/client\/v1\/media\//, "the authenticated path");
    return fetch(url, { headers: { Authorization: `Bearer ${client.getAccessToken()}` } });
}

async function fetchFile(client, url) {
    const answer = await fetchAuthenticated(client, url);
    assert.equal(answer.status, 200, url);
    return [Buffer.from(await answer.arrayBuffer()), answer.headers];
}

const download = (client, mxc) => client.mxcUrlToHttp(mxc, undefined, undefined, undefined, false, true, true);
const thumbnail = (client, mxc, width, height, method) =>
    client.mxcUrlToHttp(mxc, width, height, method, false, true, true);

/// The library has no function for ids that are created first; its HTTP layer sends the requests.
async function createThenUpload(client) {
    const media = (prefix) => ({ prefix: `/_matrix/media/${prefix}` });
    const { content_uri: mxc } = await client.http.authedRequest("POST", "/create", undefined, undefined, media("v1"));
    const early = await fetchAuthenticated(client, `${download(client, mxc)}&timeout_ms=0`);
    assert.deepEqual([early.status, (await early.json()).errcode], [504, "M_NOT_YET_UPLOADED"]);
    const headers = { "Content-Type": "image/jpeg" };
    const path = `/upload/${mxc.slice("mxc://".length)}`;
    const stored = await client.http.authedRequest("PUT", path, undefined, picture, { ...media("v3"), headers });
    assert.deepEqual(stored, {}, "the later upload");
    return mxc;
}

async function checkDownload(client, mxc, filename) {
    const [file, headers] = await fetchFile(client, download(client, mxc));
    assert.ok(file.equals(picture), "the picture is another one");
    assert.equal(headers.get("content-type"), "image/jpeg");
    assert.equal(headers.get("content-disposition"), filename ? `inline; filename=${filename}` : "inline");
}

async function checkThumbnails(client, mxc) {
    const [scaled, headers] = await fetchFile(client, thumbnail(client, mxc, 320, 240, "scale"));
    assert.deepEqual([headers.get("content-type"), ...jpegSize(scaled)], ["image/jpeg", 320, 240]);
    const [cropped] = await fetchFile(client, thumbnail(client, mxc, 96, 96, "crop"));
    assert.deepEqual(jpegSize(cropped), [96, 96]);
}

async function checkThatStrangersGetNothing(client, mxc) {
    const answer = await fetch(download(client, mxc));
    assert.deepEqual([answer.status, (await answer.json()).errcode], [401, "M_MISSING_TOKEN"]);
}

async function main() {
    const client = sdk.createClient({ baseUrl: BASE_URL });
    const identifier = { type: "m.id.user", user: USER_ID };
    const login = await client.loginRequest({ type: "m.login.password", identifier, password: PASSWORD });
    client.setAccessToken(login.access_token);
    assert.ok(await client.isVersionSupported("v1.11"), "the server has authenticated media");
    for (const authenticated of [false, true]) {
        const config = await client.getMediaConfig(authenticated);
        assert.ok(config["m.upload.size"] > picture.length, JSON.stringify(config));
    }
    const created = await createThenUpload(client);
    await checkDownload(client, created, undefined);
    const file = new Blob([picture], { type: "image/jpeg" });
    const { content_uri: uploaded } = await client.uploadContent(file, { name: "sunset.jpg" });
    await checkDownload(client, uploaded, "sunset.jpg");
    await checkThumbnails(client, created);
    await checkThatStrangersGetNothing(client, created);
}

main().then(
    () => process.exit(0),
    (error) => {
        console.error(error);
        process.exit(1);
    },
);
