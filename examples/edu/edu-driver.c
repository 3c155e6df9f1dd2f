/*
 * The same driver as edu-driver.mjs, as one static program: for QEMU's educational PCI device
 * (1234:11e8, docs/specs/edu.rst), run by `ironport-agent apply --hold --run`. What it is handed is
 * in docs/reference/driver.md.
 *
 *   cc -O2 -static -o edu-driver edu-driver.c
 *
 * Exit status: 0 all good, 2 not handed what it needs, 3 not an edu device, 4 not alive, 5 a wrong
 * factorial, 6 a wrong transfer, 7 the device does not finish, 8 reading or writing failed or was
 * refused.
 */

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GOOD, HANDED = 2, IDENTITY, LIVENESS, FACTORIAL, TRANSFER, STALLED, IO };
enum { REG_ID = 0x00, REG_ALIVE = 0x04, REG_FACTORIAL = 0x08, REG_STATUS = 0x20, REG_RAISED = 0x24 };
enum { REG_RAISE = 0x60, REG_ACK = 0x64, REG_SOURCE = 0x80, REG_DEST = 0x88, REG_COUNT = 0x90 };
enum { REG_COMMAND = 0x98, BUFFER_AT = 0x40000, HALF = 2048, PAGE = 4096 };

static int requests, replies;

static _Noreturn void fail(int status, const char *what) {
  printf("edu-driver: %s\n", what);
  fflush(stdout);
  _exit(status);
}

/* The frames of the broker: what is on this machine's stack is little-endian, as they are. */
struct request {
  uint8_t version, op, width, region;
  uint32_t sequence;
  uint64_t offset, value;
};
struct reply {
  uint8_t version, status;
  uint16_t zero;
  uint32_t sequence;
  uint64_t value;
};

static uint32_t ask(int op, uint64_t offset, uint32_t value) {
  static uint32_t sequence;
  struct request request = {1, op, 4, 0, ++sequence, offset, value};
  struct reply reply;
  if (write(requests, &request, sizeof request) != sizeof request) fail(IO, "no broker");
  for (size_t held = 0; held < sizeof reply;) {
    ssize_t count = read(replies, (char *)&reply + held, sizeof reply - held);
    if (count <= 0) fail(IO, "the broker is gone");
    held += count;
  }
  if (reply.status != 0 || reply.sequence != sequence) fail(IO, "an access was refused");
  return reply.value;
}

static uint32_t reg_read(uint64_t offset) { return ask(1, offset, 0); }
static void reg_write(uint64_t offset, uint32_t value) { ask(2, offset, value); }

/* Waits until the bits of a register are clear. */
static void until_clear(uint64_t offset, uint32_t bits, const char *what) {
  for (int i = 0; i < 500; i++) {
    if ((reg_read(offset) & bits) == 0) return;
    poll(NULL, 0, 10);
  }
  fail(STALLED, what);
}

static uint32_t factorial(uint32_t n) {
  uint32_t product = 1;
  for (uint32_t i = 2; i <= n; i++) product *= i;
  return product;
}

static void transfer(uint32_t from, uint32_t to, uint32_t length, uint32_t command) {
  reg_write(REG_SOURCE, from);
  reg_write(REG_DEST, to);
  reg_write(REG_COUNT, length);
  reg_write(REG_COMMAND, command | 1);
  until_clear(REG_COMMAND, 1, "the transfer does not come to an end");
}

static void check_transfer(int memory, uint32_t iova, uint32_t length) {
  static unsigned char sent[HALF], found[HALF];
  for (uint32_t i = 0; i < length; i++) sent[i] = 1 + (i * 31 + length) % 255;
  memset(found, 0, sizeof found);
  if (pwrite(memory, sent, length, 0) != (ssize_t)length) fail(IO, "the memory took too little");
  if (pwrite(memory, found, length, PAGE) != (ssize_t)length) fail(IO, "the memory took too little");
  transfer(iova, BUFFER_AT, length, 0);
  transfer(BUFFER_AT, iova + PAGE, length, 2);
  if (pread(memory, found, length, PAGE) != (ssize_t)length) fail(IO, "the memory ends too early");
  if (memcmp(sent, found, length) != 0) fail(TRANSFER, "bytes came back wrong");
}

/* The number after the first `key` that comes after `from`: the object is compact, and its keys are
   in the order of the reference. -1 when there is none. */
static int64_t number(const char *from, const char *key) {
  const char *at = from == NULL ? NULL : strstr(from, key);
  if (at == NULL) return -1;
  at += strlen(key);
  return strtoll(*at == '"' ? at + 1 : at, NULL, 0);
}

int main(void) {
  const char *handed = getenv("IRONPORT_DRIVER");
  if (handed == NULL || strstr(handed, "\"schema\":\"ironport.driver/v2\"") == NULL)
    fail(HANDED, "not handed what is needed");
  requests = number(handed, "\"requests\":");
  replies = number(handed, "\"replies\":");
  const char *dma = strstr(handed, "\"dma\":[{");
  const char *interrupts = strstr(handed, "\"interrupts\":[{");
  if (requests < 3 || replies < 3) fail(HANDED, "not handed what is needed");

  uint32_t id = reg_read(REG_ID);
  if ((id & 0xffff) != 0x00ed) fail(IDENTITY, "not an edu device");
  printf("edu device, version %u.%u\n", id >> 24, (id >> 16) & 0xff);
  static const uint32_t values[] = {0, 0xffffffff, 0x12345678};
  for (int i = 0; i < 3; i++) {
    reg_write(REG_ALIVE, values[i]);
    if (reg_read(REG_ALIVE) != ~values[i]) fail(LIVENESS, "it does not invert what it is given");
  }
  printf("alive: it inverts what it is given\n");
  static const uint32_t numbers[] = {0, 5, 12, 13};
  for (int i = 0; i < 4; i++) {
    reg_write(REG_FACTORIAL, numbers[i]);
    until_clear(REG_STATUS, 1, "the factorial does not come to an end");
    if (reg_read(REG_FACTORIAL) != factorial(numbers[i])) fail(FACTORIAL, "a wrong factorial");
  }
  printf("factorials: 0!, 5!, 12! and 13! modulo 2^32\n");

  if (interrupts != NULL) {
    struct pollfd event = {.fd = number(interrupts, "\"fd\":"), .events = POLLIN};
    uint64_t count = 0;
    reg_write(REG_RAISE, 1);
    if (poll(&event, 1, 5000) != 1 || read(event.fd, &count, 8) != 8)
      fail(STALLED, "the interrupt does not come");
    reg_write(REG_ACK, reg_read(REG_RAISED));
    printf("interrupts: one was raised, and one came\n");
  }
  if (dma == NULL) {
    printf("transfers: left out, no memory was granted\n");
  } else {
    int64_t iova = number(dma, "\"iova\":"), length = number(dma, "\"length\":");
    if (length < 2 * PAGE || iova < 0 || iova + length > 1 << 28) fail(HANDED, "memory in reach");
    for (uint32_t one = 4; one <= HALF; one *= 8) check_transfer(number(dma, "\"fd\":"), iova, one);
    printf("transfers: up to %d bytes into the device and back\n", HALF);
  }
  return GOOD;
}
