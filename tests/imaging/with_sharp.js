// sharp (libvips) as a peer: one line of JSON per job in, one out.
'use strict';
const fs = require('fs');
const readline = require('readline');
const sharp = require('sharp');

sharp.concurrency(1);
sharp.cache(false);

const encode = (image, type) => {
  switch (type) {
    case 'png': return image.png();
    case 'webp': return image.webp({ quality: 80 });
    default: return image.jpeg({ quality: 80 });
  }
};

async function make({ file, outputs }) {
  const images = [];
  for (const { width, height, method, animated, type } of outputs) {
    const fit = method === 'crop' ? 'cover' : 'inside';
    const image = sharp(file, { animated }).rotate().resize(width, height, { fit, withoutEnlargement: true });
    images.push(await encode(image, type).toBuffer());
  }
  return images;
}

const peak = () => Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]);

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const job = JSON.parse(line);
    try {
      fs.writeFileSync('/proc/self/clear_refs', '5');
      const before = process.cpuUsage();
      const images = await make(job);
      const { user, system } = process.cpuUsage(before);
      images.forEach((image, index) => fs.writeFileSync(job.outputs[index].path, image));
      console.log(JSON.stringify({ cpu_ms: (user + system) / 1000, peak_kb: peak() }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
  }
})();
