// Whether objects of other operators are what those take: by the types that are made of their sources.
//
//   node custom.mjs NODE_MODULES <OBJECTS      a list of {name, object}; ends with 1 if one does not fit
//
// Their validation says what is missing or of a wrong kind, the compiler of TypeScript what they do not know.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const modules = path.resolve(process.argv[2]);
const packages = {
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};
const objects = JSON.parse(readFileSync(0, "utf8"));
let failures = 0;

function fail(name, object, what) {
  failures += 1;
  console.log(`${name}: ${object.kind} ${object.metadata.name}: ${what}`);
}

function moduleOf({ apiVersion, kind }) {
  return `@kubernetes-models/${packages[apiVersion.split("/")[0]]}/${apiVersion}/${kind}`;
}

for (const { name, object } of objects) {
  const file = path.join(modules, `${moduleOf(object)}.js`);
  const { [object.kind]: Model } = await import(pathToFileURL(file));
  try {
    new Model(object).validate();
  } catch (error) {
    fail(name, object, error.message);
  }
}

// A file that is nowhere, beside the packages: one constant for each object.
const ts = createRequire(path.join(modules, "x.js"))("typescript");
const file = path.join(modules, "objects.ts");
const lines = objects.map(({ object }, index) => {
  const type = `import("${moduleOf(object)}").I${object.kind}`;
  return `export const object${index}: ${type} = ${JSON.stringify(object)};`;
});
const options = { strict: true, noEmit: true, skipLibCheck: true, types: [] };
Object.assign(options, { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext });
const host = ts.createCompilerHost(options);
const { readFile, fileExists } = host;
host.fileExists = (it) => it === file || fileExists(it);
host.readFile = (it) => (it === file ? lines.join("\n") : readFile(it));
host.getSourceFile = (it, version) => {
  const text = host.readFile(it);
  return text === undefined ? undefined : ts.createSourceFile(it, text, version);
};
for (const found of ts.getPreEmitDiagnostics(ts.createProgram([file], options, host))) {
  const told = ts.flattenDiagnosticMessageText(found.messageText, " ");
  if (found.file?.fileName !== file) {
    failures += 1;
    console.log(told);
    continue;
  }
  const { name, object } = objects[found.file.getLineAndCharacterOfPosition(found.start).line];
  fail(name, object, told);
}
process.exit(failures > 0 ? 1 : 0);
