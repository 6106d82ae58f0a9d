;; Keeps a job, whose number is its arguments, as "000017": a file of it is made under another name and renamed, and a line is
;; appended to a journal. All of it takes place, or nothing.
(module
  (import "relix" "arguments" (func $arguments (result i32)))
  (import "relix" "response_read" (func $response_read (param i32 i32 i32) (result i32)))
  (import "relix" "file_write" (func $file_write (param i32 i32 i64 i32 i32) (result i32)))
  (import "relix" "file_rename" (func $file_rename (param i32 i32 i32 i32) (result i32)))
  (import "relix" "fail" (func $fail (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "/jobs/new.______")
  (data (i32.const 32) "/jobs/______")
  (data (i32.const 64) "/journal")
  (data (i32.const 96) "______\n")

  (func $check (param $len i32)
    (if (i32.lt_s (local.get $len) (i32.const 0))
      (then
        (local.set $len (i32.sub (i32.const 0) (local.get $len)))
        (drop (call $response_read (i32.const 1024) (i32.const 0) (local.get $len)))
        (call $fail (i32.const 1024) (local.get $len)))))

  (func (export "run")
    (drop (call $arguments))
    ;; Between its quotes.
    (drop (call $response_read (i32.const 10) (i32.const 1) (i32.const 6)))
    (drop (call $response_read (i32.const 38) (i32.const 1) (i32.const 6)))
    (drop (call $response_read (i32.const 96) (i32.const 1) (i32.const 6)))
    (call $check (call $file_write (i32.const 0) (i32.const 16) (i64.const 0) (i32.const 96) (i32.const 7)))
    (call $check (call $file_write (i32.const 64) (i32.const 8) (i64.const -1) (i32.const 96) (i32.const 7)))
    (call $check (call $file_rename (i32.const 0) (i32.const 16) (i32.const 32) (i32.const 12)))))
