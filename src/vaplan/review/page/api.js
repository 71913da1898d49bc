// Requests to the local server.

export class ApiError extends Error {
  constructor(status, value) {
    super([value.message, value.fix].filter(Boolean).join("; "));
    this.status = status;
    this.value = value;
  }
}

async function request(path, options = {}) {
  const response = await fetch(path, { cache: "no-store", ...options });
  if (response.ok) return response;
  let value = { message: `the server answered ${response.status}` };
  try {
    value = await response.json();
  } catch {
    // the answer is no JSON; the status is all there is
  }
  throw new ApiError(response.status, value);
}

async function getJson(path) {
  return (await request(path)).json();
}

export const getSession = () => getJson("/api/session");
export const getVideos = async () => (await getJson("/api/videos")).videos;
export const getVideo = (index) => getJson(`/api/videos/${index}`);
export const getPreparation = (index) => getJson(`/api/videos/${index}/preparation`);
export const getScores = (index) => getJson(`/api/videos/${index}/scores`);
export const getCommands = async () => (await getJson("/api/command")).commands;

export const mediaAddress = (index) => `/api/videos/${index}/media`;

export async function getPeaks(index) {
  const response = await request(`/api/videos/${index}/peaks`);
  return new Uint8Array(await response.arrayBuffer());
}

export const prepareSpectrogram = (index) =>
  getJson(`/api/videos/${index}/spectrogram/preparation`);

// Bytes of the file with the spectrogram, from `start` to before `end`.
export async function readSpectrogram(index, start, end) {
  const headers = { Range: `bytes=${start}-${end - 1}` };
  const response = await request(`/api/videos/${index}/spectrogram`, { headers });
  return response.arrayBuffer();
}

const MOST_KEEPALIVE = 60_000; // bytes; browsers refuse a longer body with `keepalive`

export async function putEvents(index, change) {
  const body = JSON.stringify(change);
  const size = new TextEncoder().encode(body).length;
  const response = await request(`/api/videos/${index}/events`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body,
    keepalive: size < MOST_KEEPALIVE,
  });
  return response.json();
}
