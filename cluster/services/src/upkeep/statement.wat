;; Runs the SQL statement that the task's arguments are, a JSON string without anything escaped in it; again and again, each time
;; in a transaction of its own, until it has nothing more to do.
(module
  (import "relix" "arguments" (func $arguments (result i32)))
  (import "relix" "response_read" (func $response_read (param i32 i32 i32) (result i32)))
  (import "relix" "sql" (func $sql (param i32 i32 i32 i32) (result i32)))
  (import "relix" "fail" (func $fail (param i32 i32)))
  (import "relix" "sleep_until" (func $sleep_until (param i64)))
  (memory (export "memory") 1)
  ;; The response, from 0 on; its length.
  (func $read (result i32) (call $response_read (i32.const 0) (i32.const 0) (i32.const 65536)))
  (func (export "run")
    (drop (call $arguments))
    ;; What is between the quotes.
    (if (i32.lt_s
          (call $sql (i32.const 1) (i32.sub (call $read) (i32.const 2)) (i32.const 0) (i32.const 0))
          (i32.const 0))
      (then (call $fail (i32.const 0) (call $read))))
    ;; {"columns":[],"rows":[],"count":0} has 34 bytes, and its like 33 where the count is.
    (if (i32.or
          (i32.ne (call $read) (i32.const 34))
          (i32.ne (i32.load8_u (i32.const 32)) (i32.const 48)))
      (then (call $sleep_until (i64.const 0))))))
