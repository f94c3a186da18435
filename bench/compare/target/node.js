// The bench routes by Node's http module: node node.js PORT ROOT
'use strict';
const http = require('http');
const fs = require('fs');
const path = require('path');

const hello = Buffer.from('Hello, World!');
const tenK = Buffer.from('0123456789abcdef'.repeat(640));
const root = process.argv[3];

function answer(res, code, kind, body) {
  res.writeHead(code, { 'Server': 'node', 'Content-Type': kind, 'Content-Length': body.length });
  res.end(body);
}

function file(res, name) {
  fs.stat(name, (err, info) => {
    if (err || !info.isFile()) return answer(res, 404, 'text/plain', Buffer.from('not found\n'));
    res.writeHead(200, { 'Server': 'node', 'Content-Type': 'application/octet-stream', 'Content-Length': info.size });
    fs.createReadStream(name).pipe(res);
  });
}

const server = http.createServer((req, res) => {
  const [where, query] = req.url.split('?');
  switch (where) {
    case '/':
    case '/plaintext':
      return answer(res, 200, 'text/plain', hello);
    case '/10k':
      return answer(res, 200, 'application/octet-stream', tenK);
    case '/echo': {
      const parts = [];
      req.on('data', (part) => parts.push(part));
      req.on('end', () => answer(res, 200, req.headers['content-type'] || 'application/octet-stream', Buffer.concat(parts)));
      return;
    }
    case '/slow': {
      const ms = Number(new URLSearchParams(query).get('ms'));
      setTimeout(() => answer(res, 200, 'text/plain', Buffer.from(`waited ${ms} ms\n`)), ms);
      return;
    }
    default:
      return file(res, path.join(root, path.basename(where)));
  }
});
server.keepAliveTimeout = 0;
server.requestTimeout = 0;
server.headersTimeout = 0;
server.listen(Number(process.argv[2]), '127.0.0.1', 4096);
