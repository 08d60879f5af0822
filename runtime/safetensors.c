/* safetensors.c - tensors to and from the safetensors format, in a file or in
 * memory; see safetensors.h.
 *
 * The format: eight bytes with the little-endian length of a header, the header
 * (one JSON object: name -> dtype, shape, data_offsets), then the tensors'
 * bytes. Files come from anywhere, so the reader accepts exactly what it
 * needs: every tensor asked for once, with its dtype and shape, and nothing
 * else; the byte ranges must tile the data without gap or overlap; weights must
 * be finite. Everything is checked before the first tensor is overwritten.
 * Where the bytes come from is a function pointer, so a program that never
 * opens a file is not linked with the functions that do.
 *
 * Known weaknesses: only little-endian machines; a failing disk while the data
 * is read leaves the state half loaded (and says so by its status).
 */
#include "runtime/safetensors.h"

#include "runtime/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  length_bytes = 8,
  max_header_bytes = 100 * 1000 * 1000, /* the limit of the format */
  max_rank = 8,
  max_name = 512,
};

static const char *dtype_name(sinter_dtype dtype) {
  return dtype == SINTER_F32 ? "F32" : "I32";
}

/* ---- Messages ------------------------------------------------------------ */

typedef struct report {
  const char *path;
  char *message;
  size_t size;
  sinter_status status;
} report;

/* Keeps the first failure; returns false, for `return fail(...)`. */
__attribute__((format(printf, 3, 4))) static bool
fail(report *r, sinter_status status, const char *format, ...) {
  if (r->status != SINTER_OK)
    return false;
  r->status = status;
  int prefix = snprintf(r->message, r->size, "%s: ", r->path);
  if (prefix < 0 || (size_t)prefix >= r->size)
    return false;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(r->message + prefix, r->size - (size_t)prefix, format, arguments);
  va_end(arguments);
  return false;
}

static void print_shape(char *text, size_t size, const int64_t *shape,
                        int rank) {
  size_t used = (size_t)snprintf(text, size, "[");
  for (int i = 0; i < rank && used < size; ++i)
    used += (size_t)snprintf(text + used, size - used, "%s%" PRId64,
                             i ? ", " : "", shape[i]);
  if (used < size)
    snprintf(text + used, size - used, "]");
}

/* ---- The header's JSON ----------------------------------------------------
 * Only what the format uses: objects, strings, arrays of unsigned numbers. */

typedef struct parser {
  const char *begin, *at, *end;
  report *report;
} parser;

static bool fail_at(parser *p, const char *expected) {
  return fail(
      p->report, SINTER_WRONG_INPUT, "header byte %td: expected %s, got %s",
      p->at - p->begin, expected,
      p->at == p->end ? "the header's end" : (char[]){'\'', *p->at, '\'', 0});
}

static void skip_space(parser *p) {
  while (p->at < p->end && memchr(" \t\r\n", *p->at, 4))
    ++p->at;
}

/* Steps over `token` when it is next. */
static bool accept(parser *p, char token) {
  skip_space(p);
  if (p->at == p->end || *p->at != token)
    return false;
  ++p->at;
  return true;
}

static bool expect(parser *p, char token) {
  char name[] = {'\'', token, '\'', 0};
  return accept(p, token) || fail_at(p, name);
}

/* Escapes other than \" \\ \/ occur in no tensor name; they are refused. */
static bool parse_string(parser *p, char *text, size_t size) {
  if (!expect(p, '"'))
    return false;
  size_t length = 0;
  while (p->at < p->end && *p->at != '"') {
    if (*p->at == '\\' && (++p->at == p->end || !memchr("\"\\/", *p->at, 3)))
      return fail_at(p, "'\"', '\\' or '/' after a backslash");
    if ((unsigned char)*p->at < ' ' || length + 1 >= size)
      return fail_at(p, "a short string of printable characters");
    text[length++] = *p->at++;
  }
  text[length] = 0;
  return expect(p, '"');
}

static bool parse_number(parser *p, int64_t *number) {
  skip_space(p);
  if (p->at == p->end || *p->at < '0' || *p->at > '9')
    return fail_at(p, "an unsigned whole number");
  *number = 0;
  for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; ++p->at) {
    if (*number > (INT64_MAX - 9) / 10)
      return fail_at(p, "a number below 2^63");
    *number = *number * 10 + (*p->at - '0');
  }
  return true;
}

static bool parse_numbers(parser *p, int64_t *numbers, int capacity,
                          int *count) {
  *count = 0;
  if (!expect(p, '['))
    return false;
  if (accept(p, ']'))
    return true;
  do {
    if (*count == capacity)
      return fail_at(p, "a shorter list");
    if (!parse_number(p, &numbers[(*count)++]))
      return false;
  } while (accept(p, ','));
  return expect(p, ']');
}

/* Any text, as under "__metadata__"; NULL after a failure. The caller frees it.
 * Of an escape that is no single character (\\u....) the letters remain. */
static char *parse_text(parser *p) {
  if (!expect(p, '"'))
    return NULL;
  const char *begin = p->at;
  while (p->at < p->end && *p->at != '"')
    p->at += *p->at == '\\' && p->at + 1 < p->end ? 2 : 1;
  const char *end = p->at;
  char *text = malloc((size_t)(end - begin) + 1);
  if (!text)
    return fail(p->report, SINTER_RUN_FAILED, "out of memory"), NULL;
  size_t length = 0;
  for (const char *next = begin; next < end; ++next) {
    next += *next == '\\' && next + 1 < end;
    text[length++] = *next;
  }
  text[length] = 0;
  if (expect(p, '"'))
    return text;
  free(text);
  return NULL;
}

typedef struct visitor {
  sinter_metadata_visitor visit; /* NULL: nobody wants to know */
  void *context;
} visitor;

static bool parse_metadata(parser *p, const visitor *to) {
  if (!expect(p, '{'))
    return false;
  if (accept(p, '}'))
    return true;
  do {
    char *key = parse_text(p);
    char *value = key && expect(p, ':') ? parse_text(p) : NULL;
    if (value && to->visit)
      to->visit(to->context, key, value);
    bool good = value != NULL;
    free(key);
    free(value);
    if (!good)
      return false;
  } while (accept(p, ','));
  return expect(p, '}');
}

typedef struct entry {
  char dtype[max_name];
  int64_t shape[max_rank];
  int rank; /* -1: not given */
  int64_t offsets[2];
  int num_offsets;
} entry;

static bool parse_entry(parser *p, entry *e) {
  *e = (entry){.rank = -1};
  if (!expect(p, '{'))
    return false;
  do {
    char key[max_name];
    if (!parse_string(p, key, sizeof key) || !expect(p, ':'))
      return false;
    bool parsed = false;
    if (strcmp(key, "dtype") == 0)
      parsed = parse_string(p, e->dtype, sizeof e->dtype);
    else if (strcmp(key, "shape") == 0)
      parsed = parse_numbers(p, e->shape, max_rank, &e->rank);
    else if (strcmp(key, "data_offsets") == 0)
      parsed = parse_numbers(p, e->offsets, 2, &e->num_offsets);
    else
      fail_at(p, "a value for dtype, shape or data_offsets only");
    if (!parsed)
      return false;
  } while (accept(p, ','));
  if (!expect(p, '}'))
    return false;
  if (e->rank < 0 || e->num_offsets != 2 || !e->dtype[0])
    return fail_at(p, "dtype, shape and two data_offsets before this point");
  return true;
}

/* ---- Reading ------------------------------------------------------------- */

typedef struct placed {
  const sinter_tensor *tensor;
  int64_t begin, end; /* in the file's data */
  bool seen;
} placed;

typedef struct reader reader;
/* Copies a range of the file; false, with a message, where that fails. */
typedef bool (*range_reader)(reader *r, void *data, int64_t bytes,
                             int64_t offset);

struct reader {
  const char *owner;
  const sinter_tensor *tensors;
  int64_t count; /* negative: only the metadata is wanted */
  visitor visitor;
  range_reader read;
  int descriptor;       /* of a file */
  const char *contents; /* of a file in memory */
  int64_t data_start, data_bytes;
  placed *places; /* one for each tensor */
  int64_t mismatches;
  char list[10 * 512]; /* of the first ones, a line each */
  size_t list_used;
  report *report;
};

enum { most_listed = 10 };

/* A tensor that is not as the model has it. All are told of together. */
__attribute__((format(printf, 2, 3))) static void
mismatch(reader *r, const char *format, ...) {
  if (r->mismatches++ >= most_listed)
    return;
  const size_t left = sizeof r->list - r->list_used;
  int used = snprintf(r->list + r->list_used, left, "\n  ");
  va_list arguments;
  va_start(arguments, format);
  if (used > 0 && (size_t)used < left) {
    const int text = vsnprintf(r->list + r->list_used + used,
                               left - (size_t)used, format, arguments);
    used += text < 0 ? 0 : text;
  }
  va_end(arguments);
  if (used > 0)
    r->list_used += (size_t)used < left ? (size_t)used : left - 1;
}

static bool report_mismatches(reader *r) {
  if (r->mismatches == 0)
    return true;
  if (r->mismatches == 1) /* behind its line feed and indentation */
    return fail(r->report, SINTER_WRONG_INPUT, "%s", r->list + 3);
  char more[64] = "";
  if (r->mismatches > most_listed)
    snprintf(more, sizeof more, "\n  and %" PRId64 " more",
             r->mismatches - most_listed);
  return fail(r->report, SINTER_WRONG_INPUT,
              "%" PRId64 " tensors are not those of model '%s':%s%s",
              r->mismatches, r->owner, r->list, more);
}

/* Ranges have been checked against the file's size. */
static bool read_memory(reader *r, void *data, int64_t bytes, int64_t offset) {
  memcpy(data, r->contents + offset, (size_t)bytes);
  return true;
}

static bool read_file(reader *r, void *data, int64_t bytes, int64_t offset) {
  char *next = data;
  while (bytes > 0) {
    ssize_t got = pread(r->descriptor, next, (size_t)bytes, (off_t)offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return fail(r->report, SINTER_RUN_FAILED, "cannot read: %s",
                  got < 0 ? strerror(errno) : "the file became shorter");
    next += got;
    bytes -= got;
    offset += got;
  }
  return true;
}

static bool same_shape(const entry *e, const sinter_tensor *info) {
  if (e->rank != info->rank)
    return false;
  for (int i = 0; i < e->rank; ++i)
    if (e->shape[i] != info->shape[i])
      return false;
  return true;
}

static const sinter_tensor *find_tensor(const reader *r, const char *name) {
  for (int64_t i = 0; i < r->count; ++i)
    if (strcmp(r->tensors[i].name, name) == 0)
      return &r->tensors[i];
  return NULL;
}

static bool check_entry(reader *r, const char *name, const entry *e) {
  if (r->count < 0)
    return true;
  const sinter_tensor *info = find_tensor(r, name);
  if (!info) {
    mismatch(r, "tensor '%s': model '%s' has no weight of this name", name,
             r->owner);
    return true;
  }
  placed *tensor = &r->places[info - r->tensors];
  if (tensor->seen)
    return fail(r->report, SINTER_WRONG_INPUT,
                "tensor '%s': expected once, got twice", name);
  tensor->seen = true;
  if (strcmp(e->dtype, dtype_name(info->dtype)) != 0) {
    mismatch(r, "tensor '%s': expected dtype %s, got %.32s", name,
             dtype_name(info->dtype), e->dtype);
    return true;
  }
  if (!same_shape(e, info)) {
    char expected[200], got[200];
    print_shape(expected, sizeof expected, info->shape, info->rank);
    print_shape(got, sizeof got, e->shape, e->rank);
    mismatch(r, "tensor '%s': expected shape %s, got %s", name, expected, got);
    return true;
  }
  int64_t begin = e->offsets[0], end = e->offsets[1];
  if (end < begin || end - begin != info->bytes)
    return fail(r->report, SINTER_WRONG_INPUT,
                "tensor '%s': expected %" PRId64
                " bytes, got data_offsets %" PRId64 " to %" PRId64,
                name, info->bytes, begin, end);
  if (end > r->data_bytes)
    return fail(r->report, SINTER_WRONG_INPUT,
                "truncated: tensor '%s' ends at byte %" PRId64
                " of the data, got %" PRId64 " bytes of data",
                name, end, r->data_bytes);
  *tensor = (placed){info, begin, end, true};
  return true;
}

static bool parse_header(reader *r, const char *header, int64_t bytes) {
  parser p = {header, header, header + bytes, r->report};
  if (!expect(&p, '{'))
    return false;
  if (!accept(&p, '}')) {
    do {
      char name[max_name];
      entry e;
      if (!parse_string(&p, name, sizeof name) || !expect(&p, ':'))
        return false;
      bool good = strcmp(name, "__metadata__") == 0
                      ? parse_metadata(&p, &r->visitor)
                      : parse_entry(&p, &e) && check_entry(r, name, &e);
      if (!good)
        return false;
    } while (accept(&p, ','));
    if (!expect(&p, '}'))
      return false;
  }
  skip_space(&p);
  return p.at == p.end || fail_at(&p, "the header's end");
}

static int by_begin(const void *left, const void *right) {
  const placed *a = left, *b = right;
  return (a->begin > b->begin) - (a->begin < b->begin);
}

/* Every tensor is there, and together they are the file's data. Sorts the
 * tensors by their place in the file. */
static bool check_complete(reader *r) {
  for (int64_t i = 0; i < r->count; ++i)
    if (!r->places[i].seen) {
      const sinter_tensor *tensor = &r->tensors[i];
      char shape[200];
      print_shape(shape, sizeof shape, tensor->shape, tensor->rank);
      mismatch(r, "expected tensor '%s' of shape %s, got no such tensor",
               tensor->name, shape);
    }
  if (!report_mismatches(r))
    return false;
  qsort(r->places, (size_t)r->count, sizeof *r->places, by_begin);
  int64_t end = 0;
  for (int64_t i = 0; i < r->count; ++i) {
    const placed *place = &r->places[i];
    if (place->begin != end)
      return fail(r->report, SINTER_WRONG_INPUT,
                  "tensor '%s': expected data from byte %" PRId64
                  ", where the tensor before it ends, got %" PRId64,
                  place->tensor->name, end, place->begin);
    end = place->end;
  }
  if (end != r->data_bytes)
    return fail(r->report, SINTER_WRONG_INPUT,
                "expected %" PRId64 " bytes of data, got %" PRId64, end,
                r->data_bytes);
  return true;
}

static bool read_header(reader *r, int64_t file_bytes) {
  unsigned char length[length_bytes];
  if (file_bytes < length_bytes)
    return fail(r->report, SINTER_WRONG_INPUT,
                "truncated: expected a safetensors file, got %" PRId64 " bytes",
                file_bytes);
  if (!r->read(r, length, length_bytes, 0))
    return false;
  uint64_t bytes = 0;
  for (int i = length_bytes - 1; i >= 0; --i)
    bytes = bytes << 8 | length[i];
  if (bytes > max_header_bytes || (int64_t)bytes > file_bytes - length_bytes)
    return fail(r->report, SINTER_WRONG_INPUT,
                "expected a safetensors file, got a header of %" PRIu64
                " bytes in a file of %" PRId64,
                bytes, file_bytes);
  r->data_start = length_bytes + (int64_t)bytes;
  r->data_bytes = file_bytes - r->data_start;
  char *header = malloc(bytes + 1);
  if (!header)
    return fail(r->report, SINTER_RUN_FAILED, "out of memory");
  bool good = r->read(r, header, (int64_t)bytes, length_bytes) &&
              parse_header(r, header, (int64_t)bytes);
  free(header);
  return good && (r->count < 0 || check_complete(r));
}

static bool check_finite(reader *r, const placed *place) {
  float values[4096];
  const int64_t count = place->tensor->bytes / (int64_t)sizeof *values;
  for (int64_t done = 0; done < count;) {
    int64_t now = count - done < 4096 ? count - done : 4096;
    if (!r->read(r, values, now * (int64_t)sizeof *values,
                 r->data_start + place->begin + done * (int64_t)sizeof *values))
      return false;
    for (int64_t i = 0; i < now; ++i)
      if (!isfinite(values[i]))
        return fail(r->report, SINTER_WRONG_INPUT,
                    "tensor '%s': expected finite values, got %g at element "
                    "%" PRId64,
                    place->tensor->name, (double)values[i], done + i);
    done += now;
  }
  return true;
}

static bool check_values(reader *r) {
  for (int64_t i = 0; i < r->count; ++i)
    if (r->places[i].tensor->must_be_finite && !check_finite(r, &r->places[i]))
      return false;
  return true;
}

static bool read_data(reader *r) {
  for (int64_t i = 0; i < r->count; ++i)
    if (!r->read(r, r->places[i].tensor->data, r->places[i].tensor->bytes,
                 r->data_start + r->places[i].begin))
      return false;
  return true;
}

static void read_all(reader *r, int64_t file_bytes) {
  r->places = calloc(r->count > 0 ? (size_t)r->count : 1, sizeof *r->places);
  if (!r->places)
    fail(r->report, SINTER_RUN_FAILED, "out of memory");
  else if (read_header(r, file_bytes) && check_values(r))
    read_data(r);
  free(r->places);
}

static void open_and_read(reader *r, const char *path) {
  struct stat status;
  r->read = read_file;
  r->descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (r->descriptor < 0) {
    fail(r->report, SINTER_WRONG_INPUT, "cannot open: %s", strerror(errno));
    return;
  }
  if (fstat(r->descriptor, &status) != 0 || !S_ISREG(status.st_mode))
    fail(r->report, SINTER_WRONG_INPUT, "expected a regular file");
  else
    read_all(r, status.st_size);
  close(r->descriptor);
}

sinter_status sinter_read_tensors(const char *path, const char *owner,
                                  const sinter_tensor *tensors, int64_t count,
                                  char *message, size_t message_size) {
  report result = {path, message, message_size, SINTER_OK};
  reader r = {
      .owner = owner, .tensors = tensors, .count = count, .report = &result};
  open_and_read(&r, path);
  return result.status;
}

sinter_status sinter_read_tensors_memory(const void *data, size_t bytes,
                                         const char *owner,
                                         const sinter_tensor *tensors,
                                         int64_t count, char *message,
                                         size_t message_size) {
  report result = {"weights in memory", message, message_size, SINTER_OK};
  reader r = {.owner = owner,
              .tensors = tensors,
              .count = count,
              .read = read_memory,
              .contents = data,
              .report = &result};
  read_all(&r, (int64_t)bytes);
  return result.status;
}

sinter_status sinter_read_metadata(const char *path,
                                   sinter_metadata_visitor visit, void *context,
                                   char *message, size_t message_size) {
  report result = {path, message, message_size, SINTER_OK};
  reader r = {.count = -1, .visitor = {visit, context}, .report = &result};
  open_and_read(&r, path);
  return result.status;
}

/* ---- Writing ------------------------------------------------------------- */

static void print_string(FILE *header, const char *text) {
  fputc('"', header);
  for (; *text; ++text) {
    if (*text == '"' || *text == '\\')
      fputc('\\', header);
    fputc(*text, header);
  }
  fputc('"', header);
}

static void print_header(FILE *header, const sinter_tensor *tensors,
                         int64_t count, const sinter_metadata *metadata,
                         int64_t num_metadata) {
  int64_t offset = 0;
  const char *between = "";
  fputc('{', header);
  if (num_metadata > 0) {
    fputs("\"__metadata__\":{", header);
    for (int64_t i = 0; i < num_metadata; ++i) {
      fputs(i ? "," : "", header);
      print_string(header, metadata[i].key);
      fputc(':', header);
      print_string(header, metadata[i].value);
    }
    fputc('}', header);
    between = ",";
  }
  for (int64_t i = 0; i < count; ++i) {
    const sinter_tensor *tensor = &tensors[i];
    char shape[200];
    fputs(between, header);
    between = ",";
    print_shape(shape, sizeof shape, tensor->shape, tensor->rank);
    print_string(header, tensor->name);
    fprintf(header,
            ":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%" PRId64
            ",%" PRId64 "]}",
            dtype_name(tensor->dtype), shape, offset, offset + tensor->bytes);
    offset += tensor->bytes;
  }
  fputc('}', header);
  while (ftell(header) % 8 != 0) /* aligns the data */
    fputc(' ', header);
}

/* The header with its length in front of it; the caller frees it. NULL without
 * memory. */
static char *new_header(const sinter_tensor *tensors, int64_t count,
                        const sinter_metadata *metadata, int64_t num_metadata,
                        size_t *bytes) {
  char *header = NULL;
  FILE *stream = open_memstream(&header, bytes);
  if (!stream)
    return NULL;
  for (int i = 0; i < length_bytes; ++i)
    fputc(0, stream);
  print_header(stream, tensors, count, metadata, num_metadata);
  if (fclose(stream) != 0) {
    free(header);
    return NULL;
  }
  uint64_t length = *bytes - length_bytes;
  for (int i = 0; i < length_bytes; ++i)
    header[i] = (char)(length >> 8 * i);
  return header;
}

static void write_file(sinter_output_file *file, const sinter_tensor *tensors,
                       int64_t count, const char *header, size_t bytes) {
  sinter_output_write(file, header, bytes);
  for (int64_t i = 0; i < count; ++i)
    sinter_output_write(file, tensors[i].data, (size_t)tensors[i].bytes);
}

sinter_status sinter_write_tensors(const char *path,
                                   const sinter_tensor *tensors, int64_t count,
                                   const sinter_metadata *metadata,
                                   int64_t num_metadata, char *message,
                                   size_t message_size) {
  report result = {path, message, message_size, SINTER_OK};
  size_t header_bytes = 0;
  char *header =
      new_header(tensors, count, metadata, num_metadata, &header_bytes);
  sinter_output_file file;
  int error = header ? sinter_output_open(&file, path) : ENOMEM;
  if (error == 0) {
    write_file(&file, tensors, count, header, header_bytes);
    error = sinter_output_commit(&file);
  }
  free(header);
  if (error != 0)
    fail(&result, SINTER_RUN_FAILED, "cannot write: %s", strerror(error));
  return result.status;
}

/* ---- A model's tensors --------------------------------------------------- */

static bool is_weight(const sinter_state_info *info) {
  return info->role == SINTER_PARAMETER || info->role == SINTER_FROZEN;
}

static int64_t list(const sinter_model *model, void *state,
                    sinter_tensor *tensors, bool all) {
  int64_t count = 0;
  for (int64_t i = 0; i < model->num_states; ++i) {
    const sinter_state_info *info = &model->states[i];
    if (info->role == SINTER_DERIVED || (!all && !is_weight(info)))
      continue;
    tensors[count++] = (sinter_tensor){
        .name = info->name,
        .dtype = info->dtype,
        .rank = info->rank,
        .shape = info->shape,
        .bytes = info->bytes,
        .data = (char *)state + info->offset,
        .must_be_finite = is_weight(info) && info->dtype == SINTER_F32};
  }
  return count;
}

int64_t sinter_list_weights(const sinter_model *model, void *state,
                            sinter_tensor *tensors) {
  return list(model, state, tensors, false);
}

int64_t sinter_list_states(const sinter_model *model, void *state,
                           sinter_tensor *tensors) {
  return list(model, state, tensors, true);
}

/* Space for the tensors of a model; NULL, with a message, without memory. */
static sinter_tensor *new_tensors(const sinter_model *model, const char *path,
                                  char *message, size_t message_size) {
  sinter_tensor *tensors =
      malloc(((size_t)model->num_states + 1) * sizeof *tensors);
  if (!tensors)
    snprintf(message, message_size, "%s: out of memory", path);
  return tensors;
}

/* Reads a file, or `bytes` of memory where `path` is NULL; prepares the state.
 */
static sinter_status load(const sinter_model *model, void *state,
                          const char *path, const void *data, size_t bytes,
                          char *message, size_t message_size) {
  const char *name = path ? path : "weights in memory";
  sinter_tensor *tensors = new_tensors(model, name, message, message_size);
  if (!tensors)
    return SINTER_RUN_FAILED;
  /* One cache line at least: what it returns is not NULL. */
  size_t arena_bytes = ((size_t)model->prepare.arena_bytes / 64 + 1) * 64;
  void *arena = aligned_alloc(64, arena_bytes);
  if (!arena) {
    free(tensors);
    snprintf(message, message_size, "%s: out of memory", name);
    return SINTER_RUN_FAILED;
  }
  int64_t count = sinter_list_weights(model, state, tensors);
  sinter_status status =
      path ? sinter_read_tensors(path, model->name, tensors, count, message,
                                 message_size)
           : sinter_read_tensors_memory(data, bytes, model->name, tensors,
                                        count, message, message_size);
  if (status == SINTER_OK)
    sinter_prepare(model, state, arena, NULL);
  free(arena);
  free(tensors);
  return status;
}

sinter_status sinter_load_weights(const sinter_model *model, void *state,
                                  const char *path, char *message,
                                  size_t message_size) {
  return load(model, state, path, NULL, 0, message, message_size);
}

sinter_status sinter_save_weights(const sinter_model *model, const void *state,
                                  const char *path, char *message,
                                  size_t message_size) {
  sinter_tensor *tensors = new_tensors(model, path, message, message_size);
  if (!tensors)
    return SINTER_RUN_FAILED;
  /* Writing only reads the state. */
  int64_t count = sinter_list_weights(model, (void *)state, tensors);
  sinter_status status = sinter_write_tensors(path, tensors, count, NULL, 0,
                                              message, message_size);
  free(tensors);
  return status;
}

sinter_status sinter_load_weights_memory(const sinter_model *model, void *state,
                                         const void *data, size_t bytes,
                                         char *message, size_t message_size) {
  return load(model, state, NULL, data, bytes, message, message_size);
}

size_t sinter_save_weights_memory(const sinter_model *model, const void *state,
                                  void *data, size_t bytes) {
  char none[1];
  sinter_tensor *tensors = new_tensors(model, "", none, sizeof none);
  if (!tensors)
    return 0;
  int64_t count = sinter_list_weights(model, (void *)state, tensors);
  size_t needed = 0;
  char *header = new_header(tensors, count, NULL, 0, &needed);
  if (header) {
    size_t header_bytes = needed;
    for (int64_t i = 0; i < count; ++i)
      needed += (size_t)tensors[i].bytes;
    if (needed <= bytes) {
      char *next = memcpy(data, header, header_bytes);
      next += header_bytes;
      for (int64_t i = 0; i < count; next += tensors[i++].bytes)
        memcpy(next, tensors[i].data, (size_t)tensors[i].bytes);
    }
  }
  free(header);
  free(tensors);
  return needed;
}
