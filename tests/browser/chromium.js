// A headless Chromium, and the page of another origin from which a client's web page would ask.
"use strict";

const { createServer } = require("node:http");
const { dirname, join } = require("node:path");
const puppeteer = require("puppeteer-core");

/// Answers with an empty page, and remembers which paths it was asked for. Its name is another
/// site than the address of Heliograph. What it embeds has to allow that (COEP).
async function startSite() {
    const asked = [];
    const server = createServer((request, response) => {
        asked.push(request.url);
        response.setHeader("Content-Type", "text/html");
        response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
        response.end("<!DOCTYPE html><title>a client</title>");
    });
    await new Promise((listening) => server.listen(0, "localhost", listening));
    return { url: `http://localhost:${server.address().port}/`, asked, close: () => server.close() };
}

/// Runs a test with a page that shows the site, and ends the process with its result.
async function inChromium(test) {
    const executablePath = process.env.CHROMIUM;
    const browser = await puppeteer.launch({
        executablePath,
        headless: "shell",
        // It ends with us, whatever happens.
        pipe: true,
        args: ["--no-sandbox", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"],
        env: { ...process.env, LD_LIBRARY_PATH: join(dirname(executablePath), "lib") },
    });
    const site = await startSite();
    try {
        const page = await browser.newPage();
        await page.goto(site.url);
        await test({ browser, page, site });
    } finally {
        await browser.close();
        site.close();
    }
}

module.exports = (test) =>
    inChromium(test).then(
        () => process.exit(0),
        (error) => {
            console.error(error);
            process.exit(1);
        },
    );
