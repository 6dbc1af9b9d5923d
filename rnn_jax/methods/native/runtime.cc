// What every generated loop calls: matrix products, threads, and the call by XLA. Compiled once on a machine.
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "loop.h"
#include "xla/ffi/api/c_api.h"

// ------------------------------------------------------------------------------------------------ matrix products
// c [m n] = a [m k] b [k n]. b is packed before the loop: panels of NR columns, each [k NR], the last one with zeros.
// A block of up to MR rows times a panel stays in registers; its inner loop reads NR numbers of b and one of each row.

template <class T> struct Vector { typedef T type __attribute__((vector_size(BYTES), aligned(alignof(T)), may_alias)); };

template <int M, class T> INLINE void panel(long k, const T* a, long lda, const T* b, T* c, long ldc, long columns) {
  typedef typename Vector<T>::type V;
  constexpr long NR = width<T>(), half = NR / 2;
  V sum[M][2] = {};
  for (long i = 0; i < k; i++, b += NR) {
    V one = *(const V*)b, two = *(const V*)(b + half);
#pragma GCC unroll 8
    for (int r = 0; r < M; r++) {
      T x = a[r * lda + i];
      sum[r][0] += x * one;
      sum[r][1] += x * two;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < M; r++) {
    if (columns == NR) {
      *(V*)(c + r * ldc) = sum[r][0];
      *(V*)(c + r * ldc + half) = sum[r][1];
    } else {
      T row[NR];
      std::memcpy(row, sum[r], sizeof row);
      for (long j = 0; j < columns; j++) c[r * ldc + j] = row[j];
    }
  }
}

template <class T> void multiply(long m, long k, long n, const T* a, long lda, const T* b, T* c, long ldc) {
  const long NR = width<T>(), blocks = (m + MR - 1) / MR;
  for (long j = 0; j < n; j += NR, b += k * NR)
    for (long i = 0, at = 0; i < blocks; i++) {
      const long rows = m * (i + 1) / blocks - at, left = n - j < NR ? n - j : NR;
      const T* x = a + at * lda;
      T* y = c + at * ldc + j;
      switch (rows) {
        case 1: panel<1>(k, x, lda, b, y, ldc, left); break;
        case 2: panel<2>(k, x, lda, b, y, ldc, left); break;
        case 3: panel<3>(k, x, lda, b, y, ldc, left); break;
        case 4: panel<4>(k, x, lda, b, y, ldc, left); break;
        case 5: panel<5>(k, x, lda, b, y, ldc, left); break;
        case 6: panel<6>(k, x, lda, b, y, ldc, left); break;
        case 7: panel<7>(k, x, lda, b, y, ldc, left); break;
        default: panel<8>(k, x, lda, b, y, ldc, left);
      }
      at += rows;
    }
}

// The weight at (k, n) is w[k * along + n's place in `places`].
template <class T> void pack(long k, long n, const T* w, long along, const long* places, T* out) {
  const long NR = width<T>();
  for (long j = 0; j < n; j += NR)
    for (long i = 0; i < k; i++)
      for (long c = 0; c < NR; c++) *out++ = j + c < n ? w[i * along + places[j + c]] : T(0);
}

template void multiply(long, long, long, const float*, long, const float*, float*, long);
template void multiply(long, long, long, const double*, long, const double*, double*, long);
template void pack(long, long, const float*, long, const long*, float*);
template void pack(long, long, const double*, long, const long*, double*);

// ---------------------------------------------------------------------------------------------------- the call by XLA
// A call has `problems` loops beside each other (the axes that vmap adds), each of `rows` independent rows. Blocks of
// rows are taken in turn by this thread and by those of XLA's pool that come; so none waits for one that may not come.

Memory::Memory(size_t bytes) : whole((char*)std::aligned_alloc(ALIGNED, (bytes / ALIGNED + 1) * ALIGNED)), next(whole) {}
Memory::~Memory() { std::free(whole); }

struct Loops {
  long steps, rows, problems, parts;
  bool reverse;
  std::vector<char*> arrays;  // of each problem, inputs, then outputs
  std::vector<char> memory;
  char* packed;  // the weights of each problem, from a multiple of 64 bytes on
  std::atomic<long> next{0}, left{0};
  std::mutex mutex;
  std::condition_variable done;
};

static void work(const Program& program, Loops& loops) {
  for (long i; (i = loops.next++) < loops.problems * loops.parts;) {
    const long problem = i / loops.parts, part = i % loops.parts;
    char** arrays = loops.arrays.data() + problem * (program.n_in + program.n_out);
    program.run({arrays, arrays + program.n_in}, loops.packed + problem * program.packed_bytes, loops.steps, loops.reverse,
                loops.rows * part / loops.parts, loops.rows * (part + 1) / loops.parts);
    if (--loops.left == 0) {
      std::lock_guard<std::mutex> lock(loops.mutex);
      loops.done.notify_all();
    }
  }
}

struct Task {
  const Program* program;
  std::shared_ptr<Loops> loops;
};

static void helper(void* data) {
  std::unique_ptr<Task> task((Task*)data);
  work(*task->program, *task->loops);
}

static int64_t attribute(const XLA_FFI_CallFrame* frame, const char* name) {
  for (int64_t i = 0; i < frame->attrs.size; i++)
    if (std::strlen(name) == frame->attrs.names[i]->len && !std::memcmp(name, frame->attrs.names[i]->ptr, std::strlen(name)))
      return *(int64_t*)((XLA_FFI_Scalar*)frame->attrs.attrs[i])->value;
  return 0;
}

XLA_FFI_Error* serve(const Program& program, XLA_FFI_CallFrame* frame) {
  for (auto* e = frame->extension_start; e; e = e->next)
    if (e->type == XLA_FFI_Extension_Metadata) {
      auto* metadata = ((XLA_FFI_Metadata_Extension*)e)->metadata;
      metadata->api_version.major_version = XLA_FFI_API_MAJOR;
      metadata->api_version.minor_version = XLA_FFI_API_MINOR;
      return nullptr;
    }
  auto loops = std::make_shared<Loops>();
  loops->steps = attribute(frame, "steps");
  loops->reverse = attribute(frame, "reverse");
  loops->rows = program.rows;
  loops->problems = 1;
  const auto* first = (XLA_FFI_Buffer*)frame->rets.rets[0];
  const int64_t added = first->rank - program.first_rank;
  for (int64_t i = 0; i < added; i++) loops->problems *= first->dims[i];
  auto at = [&](const XLA_FFI_Buffer* buffer, long bytes, long problem) {
    long index = 0, size = 1;  // axes that vmap does not map for this array have the size 1
    for (int64_t i = added; i-- > 0; problem /= first->dims[i])
      if (buffer->dims[i] != 1) index += problem % first->dims[i] * size, size *= buffer->dims[i];
    return (char*)buffer->data + index * bytes;
  };
  loops->memory.resize(loops->problems * program.packed_bytes + 64);
  loops->packed = loops->memory.data() + (64 - (uintptr_t)loops->memory.data() % 64);
  for (long p = 0; p < loops->problems; p++) {
    for (int i = 0; i < program.n_in; i++)
      loops->arrays.push_back(at((XLA_FFI_Buffer*)frame->args.args[i], program.in_bytes[i] * (i < program.first_x ? 1 : loops->steps), p));
    for (int i = 0; i < program.n_out; i++)
      loops->arrays.push_back(at((XLA_FFI_Buffer*)frame->rets.rets[i], program.out_bytes[i] * (i < program.first_y ? 1 : loops->steps), p));
  }
  for (long p = 0; p < loops->problems; p++) {
    char** arrays = loops->arrays.data() + p * (program.n_in + program.n_out);
    program.prepare({arrays, arrays + program.n_in}, loops->packed + p * program.packed_bytes);
  }
  int64_t threads = 1;
  XLA_FFI_ThreadPool_NumThreads_Args asked = {};
  asked.struct_size = XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE;
  asked.ctx = frame->ctx;
  asked.num_threads = &threads;
  if (auto* error = frame->api->XLA_FFI_ThreadPool_NumThreads(&asked)) {
    XLA_FFI_Error_Destroy_Args gone = {};
    gone.struct_size = XLA_FFI_Error_Destroy_Args_STRUCT_SIZE;
    gone.error = error;
    frame->api->XLA_FFI_Error_Destroy(&gone);
    threads = 1;
  }
  const long each = (threads + loops->problems - 1) / (loops->problems ? loops->problems : 1);
  loops->parts = each < loops->rows ? each : loops->rows;
  const long total = loops->problems * loops->parts;
  loops->left = total;
  for (long i = 1; i < threads && i < total; i++) {
    XLA_FFI_ThreadPool_Schedule_Args wanted = {};
    wanted.struct_size = XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE;
    wanted.ctx = frame->ctx;
    wanted.task = helper;
    auto* task = new Task{&program, loops};
    wanted.data = task;
    if (auto* error = frame->api->XLA_FFI_ThreadPool_Schedule(&wanted)) {
      delete task;
      return error;
    }
  }
  work(program, *loops);
  for (int i = 0; i < 10000 && loops->left > 0; i++) std::atomic_signal_fence(std::memory_order_seq_cst);  // parts are alike
  std::unique_lock<std::mutex> lock(loops->mutex);
  loops->done.wait(lock, [&] { return loops->left <= 0; });
  return nullptr;
}
