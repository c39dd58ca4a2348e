// A real client that joins, says so, and stays: node client.js <port> <name> <version>
const mc = require('minecraft-protocol')

const [, , port, username, version] = process.argv
const client = mc.createClient({ host: '127.0.0.1', port: Number(port), username, version, auth: 'offline' })
client.on('error', (error) => console.log(JSON.stringify({ error: String(error) })))
client.on('login', () => console.log(JSON.stringify({ playing: username })))
client.on('end', () => process.exit(0))
