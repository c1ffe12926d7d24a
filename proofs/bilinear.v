From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

Definition Mat := nat -> nat -> R.
(** F has the gradient G at U, a d x d matrix: in every direction D its derivative is the sum of G_ij D_ij. *)
Definition gradient d (F : Mat -> R) (U G : Mat) := forall D : Mat,
  is_derive (fun t => F (fun i j => U i j + t * D i j)) 0 (Sum d (fun i => Sum d (fun j => G i j * D i j))).
(** F reads nothing but the entries. *)
Definition extensional (F : Mat -> R) := forall U V, (forall i j, U i j = V i j) -> F U = F V.
(** W_Q W_K'. *)
Definition prodT dk (WQ WK : Mat) : Mat := fun i j => Sum dk (fun k => WQ i k * WK j k).
Definition transpose (U : Mat) : Mat := fun i j => U j i.
(** W with x as entry (a, b). *)
Definition setm (W : Mat) a b x : Mat := fun i j => if (Nat.eqb i a && Nat.eqb j b)%bool then x else W i j.
(** claim u-ratio. The gradient of W_Q is G W_K, entry by entry. *)
Theorem gradient_WQ d dk F WQ WK G a b : extensional F ->
  (a < d)%nat -> (b < dk)%nat -> gradient d F (prodT dk WQ WK) G ->
  is_derive (fun x => F (prodT dk (setm WQ a b x) WK)) (WQ a b) (Sum d (fun j => G a j * WK j b)).
Proof.
  intros Fe Ha Hb Gr. 
  pose proof (Gr (fun i j => if Nat.eqb i a then WK j b else 0)) as D. cbv beta in D.
  replace (Sum d (fun i => Sum d (fun j => G i j * (if Nat.eqb i a then WK j b else 0)))) with (Sum d (fun j => G a j * WK j b)) in D.
  2:{ rewrite <- (Sum_delta d a (fun i => Sum d (fun j => G i j * WK j b)) Ha). apply Sum_ext. intros i _.
      destruct (Nat.eqb i a); [reflexivity|symmetry; apply Sum_0; intros; ring]. }
  replace 0 with (WQ a b - WQ a b) in D at 1 by ring.
  assert (L : is_derive (fun x => x - WQ a b) (WQ a b) 1) by (auto_derive; [trivial|ring]).
  pose proof (is_derive_comp (fun t => F (fun i j => prodT dk WQ WK i j + t * (if Nat.eqb i a then WK j b else 0))) (fun x => x - WQ a b) _ _ _ D L) as Q.
  match type of Q with is_derive _ _ ?v => replace v with (Sum d (fun j => G a j * WK j b)) in Q
    by (unfold scal; simpl; unfold mult; simpl; ring) end.
  revert Q. apply is_derive_ext. intro x. apply Fe. intros i j. unfold prodT, setm.
  destruct (Nat.eqb_spec i a).
  - subst. rewrite <- (Sum_delta dk b (fun k => (x - WQ a b) * WK j k) Hb), <- Sum_plus. apply Sum_ext. intros k Hk.
    destruct (Nat.eqb_spec k b); subst; simpl; ring.
  - rewrite Rmult_0_r, Rplus_0_r. reflexivity.
Qed.
Lemma gradient_transpose d F U G : extensional F -> gradient d F U G ->
  gradient d (fun V => F (transpose V)) (transpose U) (transpose G).
Proof.
  intros Fe Gr D. pose proof (Gr (transpose D)) as Q. rewrite Sum_swap.
  eapply is_derive_ext; [|exact Q]. intro t. apply Fe. intros i j. reflexivity.
Qed.
(** claim u-ratio. The gradient of W_K is G' W_Q. *)
Theorem gradient_WK d dk F WQ WK G a b : extensional F ->
  (a < d)%nat -> (b < dk)%nat -> gradient d F (prodT dk WQ WK) G ->
  is_derive (fun x => F (prodT dk WQ (setm WK a b x))) (WK a b) (Sum d (fun i => G i a * WQ i b)).
Proof.
  intros Fe Ha Hb Gr.
  assert (S : forall V W i j, prodT dk V W i j = transpose (prodT dk W V) i j)
    by (intros; unfold prodT, transpose; apply Sum_ext; intros; ring).
  assert (Fe' : extensional (fun V => F (transpose V))).
  { intros U V H. apply Fe. intros. unfold transpose. apply H. }
  assert (Gr' : gradient d (fun V => F (transpose V)) (prodT dk WK WQ) (transpose G)).
  { pose proof (gradient_transpose d F _ G Fe Gr) as Q. intro D. eapply is_derive_ext; [|exact (Q D)].
    intro t. apply Fe. intros i j. cbv beta. unfold transpose at 1 3. rewrite S. reflexivity. }
  pose proof (gradient_WQ d dk _ WK WQ (transpose G) a b Fe' Ha Hb Gr') as Q.
  eapply is_derive_ext; [|exact Q]. intro x. apply Fe. intros i j. rewrite S. reflexivity.
Qed.
(** claim u-ratio. From d = 2 on, the quotient of the gradient of W_K by column b of W_Q, none of whose entries is 0, is
    the entry of G throughout column a of G only if that column is 0. *)
Theorem quotient_wrong d (G WQ : Mat) a b : (2 <= d)%nat -> (forall i, (i < d)%nat -> WQ i b <> 0) ->
  (forall i, (i < d)%nat -> Sum d (fun i => G i a * WQ i b) / WQ i b = G i a) -> forall i, (i < d)%nat -> G i a = 0.
Proof.
  intros Hd N H. set (s := Sum d (fun i => G i a * WQ i b)) in *.
  assert (E : forall i, (i < d)%nat -> G i a * WQ i b = s) by (intros i Hi; rewrite <- (H i Hi); field; apply N, Hi).
  assert (Z : s = INR d * s) by (unfold s at 1; rewrite (Sum_ext d _ (fun _ => s) E), Sum_const; reflexivity).
  assert (2 <= INR d) by (apply (le_INR 2), Hd). assert (s = 0) by nra.
  intros i Hi. rewrite <- (H i Hi), H1. unfold Rdiv. ring.
Qed.
(** The scores X U Y' c of n tokens X and m tokens Y, with the scale c. *)
Definition scores d c (X Y U : Mat) : Mat := fun s t => c * Sum d (fun i => Sum d (fun j => X s i * U i j * Y t j)).
(** claim u-infeasible. The gradient of U is X' (dL/dS) Y c: with c = 1 over the root of d_k, all d^2 entries
    from the gradient of the scores. *)
Theorem gradient_U d n m c X Y (L : Mat -> R) (dS U : Mat) : extensional L ->
  (forall D : Mat, is_derive (fun t => L (fun s r => scores d c X Y U s r + t * D s r)) 0 (Sum n (fun s => Sum m (fun r => dS s r * D s r)))) ->
  gradient d (fun V => L (scores d c X Y V)) U (fun i j => c * Sum n (fun s => Sum m (fun r => X s i * dS s r * Y r j))).
Proof.
  intros Le H D. pose proof (H (scores d c X Y D)) as Q.
  replace (Sum d (fun i => Sum d (fun j => c * Sum n (fun s => Sum m (fun r => X s i * dS s r * Y r j)) * D i j)))
    with (Sum n (fun s => Sum m (fun r => dS s r * scores d c X Y D s r))).
  - eapply is_derive_ext; [|exact Q]. intro t. apply Le. intros s r. unfold scores.
    rewrite (Rmult_comm t), Rmult_assoc, <- Rmult_plus_distr_l. f_equal. rewrite <- Sum_scal_r, <- Sum_plus.
    apply Sum_ext. intros i _. rewrite <- Sum_scal_r, <- Sum_plus. apply Sum_ext. intros. ring.
  - transitivity (Sum n (fun s => Sum m (fun r => Sum d (fun i => Sum d (fun j => c * (X s i * dS s r * Y r j) * D i j))))).
    + apply Sum_ext. intros s _. apply Sum_ext. intros r _. unfold scores.
      rewrite <- Rmult_assoc, <- Sum_scal. apply Sum_ext. intros i _. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
    + rewrite (Sum_ext n _ (fun s => Sum d (fun i => Sum m (fun r => Sum d (fun j => c * (X s i * dS s r * Y r j) * D i j))))) by (intros; apply Sum_swap).
      rewrite Sum_swap. apply Sum_ext. intros i _.
      rewrite (Sum_ext n _ (fun s => Sum d (fun j => Sum m (fun r => c * (X s i * dS s r * Y r j) * D i j)))) by (intros; apply Sum_swap).
      rewrite Sum_swap. apply Sum_ext. intros j _.
      rewrite <- Sum_scal, <- Sum_scal_r. apply Sum_ext. intros s _. rewrite <- Sum_scal, <- Sum_scal_r. reflexivity.
Qed.
