// A real Minecraft server, as far as its protocol goes: node server.js <version>; says its port, then who joins.
const mc = require('minecraft-protocol')

const server = mc.createServer({
  'online-mode': false,
  version: process.argv[2],
  host: '127.0.0.1',
  port: 0,
  motd: '§6A §lreal§r server',
  maxPlayers: 20,
  beforePing (response) {
    response.players.sample = Object.values(server.clients)
      .filter((client) => client.state === 'play' || client.state === 'configuration')
      .map((client) => ({ name: client.username, id: client.uuid }))
    response.players.online = response.players.sample.length
    return response
  }
})
server.on('listening', () => console.log(JSON.stringify({ port: server.socketServer.address().port })))
server.on('playerJoin', (client) => console.log(JSON.stringify({ joined: client.username })))
server.on('login', (client) => console.log(JSON.stringify({ login: client.username })))
server.on('error', (error) => console.log(JSON.stringify({ error: String(error) })))
